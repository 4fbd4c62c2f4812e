#include "lib/observe/log_line.h"

#include <array>
#include <cstdio>
#include <ctime>

namespace ambit::observe {
namespace {

// Both forms escape alike: JSON string rules, so that one event stays one line whatever a peer
// sends.
void AppendEscaped(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out.append("\\u00");
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
}

void AppendQuoted(std::string& out, std::string_view text) {
  out += '"';
  AppendEscaped(out, text);
  out += '"';
}

void AppendPlainValue(std::string& out, const Field& field) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    AppendQuoted(out, *text);
  } else if (const auto* bare = std::get_if<Bare>(&field.value)) {
    AppendEscaped(out, bare->text);
  } else {
    out += std::to_string(std::get<int64_t>(field.value));
  }
}

void AppendJsonPair(std::string& out, std::string_view key, std::string_view value) {
  if (out.back() != '{') out += ',';
  AppendQuoted(out, key);
  out += ':';
  AppendQuoted(out, value);
}

std::string PlainLine(std::string_view time, Level level, std::string_view scope,
                      std::string_view message, std::span<const Field> fields) {
  std::string line;
  line.reserve(128 + fields.size() * 40);
  if (!time.empty()) line.append(time) += '\t';
  line.append(LevelName(level)) += '\t';
  line.append(scope) += '\t';
  AppendEscaped(line, message);
  char separator = '\t';
  for (const Field& field : fields) {
    line += separator;
    line.append(field.key) += '=';
    AppendPlainValue(line, field);
    separator = ' ';
  }
  line += '\n';
  return line;
}

std::string JsonLine(std::string_view time, Level level, std::string_view scope,
                     std::string_view message, std::span<const Field> fields) {
  std::string line = "{";
  line.reserve(128 + fields.size() * 40);
  AppendJsonPair(line, "level", LevelName(level));
  if (!time.empty()) AppendJsonPair(line, "time", time);
  AppendJsonPair(line, "scope", scope);
  AppendJsonPair(line, "message", message);
  for (const Field& field : fields) {
    if (const auto* number = std::get_if<int64_t>(&field.value)) {
      line += ',';
      AppendQuoted(line, field.key);
      line += ':';
      line += std::to_string(*number);
    } else if (const auto* bare = std::get_if<Bare>(&field.value)) {
      AppendJsonPair(line, field.key, bare->text);
    } else {
      AppendJsonPair(line, field.key, std::get<std::string_view>(field.value));
    }
  }
  line += "}\n";
  return line;
}

}  // namespace

std::string FormatTime(std::chrono::system_clock::time_point time) {
  auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  std::time_t seconds = static_cast<std::time_t>(micros / 1'000'000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 40> text;
  size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text.data() + length, text.size() - length, ".%06dZ",
                static_cast<int>(micros % 1'000'000));
  return text.data();
}

std::string FormatLine(Log::Format format, std::string_view time, Level level,
                       std::string_view scope, std::string_view message,
                       std::span<const Field> fields) {
  if (format == Log::Format::kJson) return JsonLine(time, level, scope, message, fields);
  return PlainLine(time, level, scope, message, fields);
}

}  // namespace ambit::observe
