#include "lib/observe/cpu_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <ctime>
#include <thread>

#include "lib/observe/pprof.h"

namespace ambit::observe {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// Uses this much CPU time of the calling thread.
uint64_t Burn(milliseconds time) {
  volatile uint64_t sum = 0;
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  const int64_t end = now.tv_sec * 1000 + now.tv_nsec / 1'000'000 + time.count();
  while (now.tv_sec * 1000 + now.tv_nsec / 1'000'000 < end) {
    for (int i = 0; i < 1000; ++i) sum = sum + static_cast<uint64_t>(i);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  }
  return sum;
}

struct Field {
  int number;
  uint64_t value;  // the length of bytes
  std::string_view bytes;
};

// The fields of a protobuf message with varints and bytes only.
std::vector<Field> Fields(std::string_view text) {
  std::vector<Field> fields;
  auto varint = [&text] {
    uint64_t value = 0;
    for (int shift = 0; !text.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(text.front());
      text.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (!text.empty()) {
    const uint64_t key = varint();
    Field field{static_cast<int>(key >> 3), varint(), {}};
    if ((key & 7) == 2) {
      field.bytes = text.substr(0, field.value);
      text.remove_prefix(std::min<size_t>(text.size(), field.value));
    }
    fields.push_back(field);
  }
  return fields;
}

// The sum of the samples' first values.
uint64_t CountSamples(const std::string& profile) {
  uint64_t samples = 0;
  for (const auto& field : Fields(profile)) {
    if (field.number != 2) continue;
    for (const auto& inner : Fields(field.bytes)) {
      if (inner.number == 2) {
        samples += inner.value;
        break;
      }
    }
  }
  return samples;
}

TEST(CpuProfile, SeesEveryThreadInProportionToTheCpuTimeItUses) {
  auto profile = CpuProfile::Start(100);
  ASSERT_TRUE(profile) << profile.error().message();
  std::jthread other([] { Burn(milliseconds(300)); });
  Burn(milliseconds(300));
  other.join();
  const uint64_t samples = CountSamples((*profile)->Finish());
  // 600 ms of CPU time at 100 Hz are 60; the kernel's tick is coarse.
  EXPECT_GT(samples, 20u);
  EXPECT_LT(samples, 120u);
}

TEST(CpuProfile, ThereIsOneAtATime) {
  auto first = CpuProfile::Start(100);
  ASSERT_TRUE(first);
  EXPECT_EQ(CpuProfile::Start(100).error().code(), ErrorCode::kAlreadyExists);
  first->reset();
  EXPECT_TRUE(CpuProfile::Start(100));
}

TEST(CpuProfile, ASignalThatComesLateDoesNoHarm) {
  CpuProfile::Start(1000).value()->Finish();
  raise(SIGPROF);
}

TEST(Pprof, SaysWhatTheValuesAreAndKeepsStacksApart) {
  const auto here = reinterpret_cast<uintptr_t>(&Burn);
  const auto library = reinterpret_cast<uintptr_t>(&clock_gettime);
  const std::string profile = EncodePprof({{{library, here}, 3}, {{here}, 2}},
                                          {{}, std::chrono::seconds(1), milliseconds(10)});
  EXPECT_THAT(profile, HasSubstr("nanoseconds"));
  EXPECT_EQ(CountSamples(profile), 5u);
  int locations = 0, mappings = 0;
  for (const auto& field : Fields(profile)) {
    locations += field.number == 4 ? 1 : 0;
    mappings += field.number == 3 ? 1 : 0;
  }
  // A caller's address is that of its call, one before where it goes on.
  EXPECT_EQ(locations, 3);
  EXPECT_GT(mappings, 1);
}

}  // namespace
}  // namespace ambit::observe
