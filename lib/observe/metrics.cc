#include "lib/observe/metrics.h"

#include <prometheus/metric_family.h>

#include <array>
#include <charconv>
#include <cmath>

namespace ambit::observe {
namespace {

void AppendNumber(std::string& out, double value) {
  if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
    return;
  }
  std::array<char, 32> text;
  // A bucket's bound is a label, too: 0.0005 as everybody writes it, not the shorter 5e-04.
  const bool fraction = value != std::floor(value);
  auto [end, error] = fraction ? std::to_chars(text.data(), text.data() + text.size(), value,
                                               std::chars_format::general)
                               : std::to_chars(text.data(), text.data() + text.size(), value);
  out.append(text.data(), error == std::errc() ? end : text.data());
}

void AppendEscaped(std::string& out, const std::string& text) {
  for (char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
}

struct ExtraLabel {
  std::string_view name;
  std::string value;
};

void AppendSample(std::string& out, const std::string& name,
                  const std::vector<prometheus::ClientMetric::Label>& labels,
                  const ExtraLabel* extra, double value) {
  out += name;
  char separator = '{';
  for (const auto& label : labels) {
    out += separator;
    out.append(label.name).append("=\"");
    AppendEscaped(out, label.value);
    out += '"';
    separator = ',';
  }
  if (extra != nullptr) {
    out += separator;
    out.append(extra->name).append("=\"").append(extra->value).append("\"");
    separator = ',';
  }
  if (separator == ',') out += '}';
  out += ' ';
  AppendNumber(out, value);
  out += '\n';
}

void AppendHistogram(std::string& out, const std::string& name,
                     const prometheus::ClientMetric& metric) {
  for (const auto& bucket : metric.histogram.bucket) {
    ExtraLabel bound{"le", ""};
    AppendNumber(bound.value, bucket.upper_bound);
    AppendSample(out, name + "_bucket", metric.label, &bound,
                 static_cast<double>(bucket.cumulative_count));
  }
  AppendSample(out, name + "_sum", metric.label, nullptr, metric.histogram.sample_sum);
  AppendSample(out, name + "_count", metric.label, nullptr,
               static_cast<double>(metric.histogram.sample_count));
}

std::string_view TypeName(prometheus::MetricType type) {
  switch (type) {
    case prometheus::MetricType::Counter:
      return "counter";
    case prometheus::MetricType::Gauge:
      return "gauge";
    case prometheus::MetricType::Histogram:
      return "histogram";
    default:
      return "unknown";
  }
}

// In OpenMetrics a counter's family has no suffix and its sample ends in _total.
std::string FamilyName(const prometheus::MetricFamily& family) {
  constexpr std::string_view kTotal = "_total";
  std::string name = family.name;
  if (family.type == prometheus::MetricType::Counter && name.ends_with(kTotal)) {
    name.resize(name.size() - kTotal.size());
  }
  return name;
}

void AppendFamily(std::string& out, const prometheus::MetricFamily& family) {
  std::string name = FamilyName(family);
  out.append("# HELP ").append(name).append(" ");
  AppendEscaped(out, family.help);
  out.append("\n# TYPE ").append(name).append(" ").append(TypeName(family.type)).append("\n");
  for (const prometheus::ClientMetric& metric : family.metric) {
    if (family.type == prometheus::MetricType::Histogram) {
      AppendHistogram(out, name, metric);
    } else if (family.type == prometheus::MetricType::Counter) {
      AppendSample(out, name + "_total", metric.label, nullptr, metric.counter.value);
    } else {
      AppendSample(out, name, metric.label, nullptr, metric.gauge.value);
    }
  }
}

}  // namespace

std::string OpenMetricsText(const prometheus::Registry& registry) {
  std::string out;
  for (const prometheus::MetricFamily& family : registry.Collect()) {
    if (!family.metric.empty()) AppendFamily(out, family);
  }
  out += "# EOF\n";
  return out;
}

}  // namespace ambit::observe
