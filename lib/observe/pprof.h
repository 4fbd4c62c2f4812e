#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ambit::observe {

struct ProfileTimes {
  std::chrono::system_clock::time_point start;
  std::chrono::nanoseconds duration{0};
  std::chrono::nanoseconds period{0};  // CPU time per sample
};

// Stacks of addresses of this process, innermost first, with how often each was seen, as a
// protobuf message perftools.profiles.Profile. Names come from the symbols the dynamic linker
// knows, mappings from /proc/self/maps.
std::string EncodePprof(const std::map<std::vector<uintptr_t>, int64_t>& stacks,
                        const ProfileTimes& times);

}  // namespace ambit::observe
