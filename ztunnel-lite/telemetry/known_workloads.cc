#include "ztunnel-lite/telemetry/known_workloads.h"

#include <algorithm>
#include <string_view>

namespace ambit::telemetry {

namespace {

constexpr std::string_view kUnknown = "unknown";

std::string_view ValueOf(const Labels& labels, std::string_view name) {
  auto found = std::ranges::find(labels, name, &prometheus::ClientMetric::Label::name);
  return found == labels.end() ? kUnknown : std::string_view(found->value);
}

std::string_view OrUnknown(const std::string& text) {
  return text.empty() ? kUnknown : std::string_view(text);
}

}  // namespace

KnownWorkloads::KnownWorkloads(const std::vector<state::WorkloadPtr>& workloads) {
  for (const auto& workload : workloads) {
    workloads_.emplace(OrUnknown(workload->ns), OrUnknown(workload->workload_name));
    canonicals_.emplace(OrUnknown(workload->canonical_name),
                        OrUnknown(workload->canonical_revision));
  }
}

bool KnownWorkloads::IsGone(const Labels& labels) const {
  struct Name {
    const Names& known;
    std::string_view first, second;
  };
  const Name names[] = {
      {workloads_, ValueOf(labels, "source_workload_namespace"),
       ValueOf(labels, "source_workload")},
      {workloads_, ValueOf(labels, "destination_workload_namespace"),
       ValueOf(labels, "destination_workload")},
      {canonicals_, ValueOf(labels, "source_canonical_service"),
       ValueOf(labels, "source_canonical_revision")},
  };
  return std::ranges::any_of(names, [](const Name& name) {
    const bool nobody = name.first == kUnknown && name.second == kUnknown;
    return !nobody && !name.known.contains({name.first, name.second});
  });
}

}  // namespace ambit::telemetry
