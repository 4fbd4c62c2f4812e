#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>

#include "lib/observe/log.h"

namespace ambit::observe {

// One line with its newline, in the given format. An empty `time` leaves the time out.
std::string FormatLine(Log::Format format, std::string_view time, Level level,
                       std::string_view scope, std::string_view message,
                       std::span<const Field> fields);

// RFC 3339, UTC, six fractional digits.
std::string FormatTime(std::chrono::system_clock::time_point time);

}  // namespace ambit::observe
