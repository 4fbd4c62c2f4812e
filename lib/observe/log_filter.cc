#include "lib/observe/log_filter.h"

#include <algorithm>
#include <optional>

namespace ambit::observe {
namespace {

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::optional<Level> ParseLevel(std::string_view text) {
  for (Level level :
       {Level::kTrace, Level::kDebug, Level::kInfo, Level::kWarn, Level::kError, Level::kOff}) {
    if (std::ranges::equal(text, LevelName(level), {}, ToLower)) return level;
  }
  return std::nullopt;
}

bool Covers(std::string_view scope, std::string_view of_line) {
  return of_line.starts_with(scope) &&
         (of_line.size() == scope.size() || of_line[scope.size()] == ':' ||
          of_line[scope.size()] == '.');
}

}  // namespace

Result<LogFilter> LogFilter::Parse(std::string_view text) {
  LogFilter filter;
  filter.text_ = std::string(text);
  while (!text.empty()) {
    size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    size_t equals = part.find('=');
    bool scoped = equals != std::string_view::npos;
    auto level = ParseLevel(scoped ? part.substr(equals + 1) : part);
    if (!level || (scoped && equals == 0)) {
      return Fail(ErrorCode::kInvalidArgument,
                  "log filter \"" + std::string(part) +
                      "\" is neither <level> nor <scope>=<level>; levels are off, error, warn, "
                      "info, debug and trace");
    }
    if (scoped) {
      filter.scopes_.emplace_back(part.substr(0, equals), *level);
    } else {
      filter.default_ = *level;
    }
  }
  return filter;
}

bool LogFilter::Enabled(Level level, std::string_view scope) const {
  Level threshold = default_;
  size_t longest = 0;
  for (const auto& [name, of_scope] : scopes_) {
    if (name.size() < longest || !Covers(name, scope)) continue;
    longest = name.size();
    threshold = of_scope;
  }
  return level >= threshold && level != Level::kOff;
}

}  // namespace ambit::observe
