#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/error.h"
#include "lib/observe/log.h"

namespace ambit::observe {

// Which lines are written. A value.
// Grammar  comma list of "<level>" and "<scope>=<level>"; level is off, error, warn, info, debug or
//          trace; a scope covers the scopes below it ("xds" covers "xds::client"); the longest
//          wins.
class LogFilter {
 public:
  // Errors  kInvalidArgument: names the part that does not parse.
  static Result<LogFilter> Parse(std::string_view text);

  bool Enabled(Level level, std::string_view scope) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  Level default_ = Level::kInfo;
  std::vector<std::pair<std::string, Level>> scopes_;
};

}  // namespace ambit::observe
