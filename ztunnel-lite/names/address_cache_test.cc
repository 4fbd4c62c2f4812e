#include "ztunnel-lite/names/address_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::names {
namespace {

using std::chrono::seconds;
using testing::Pointee;
using testing::SizeIs;

const Addresses kOne = {net::IpAddress::Parse("192.0.2.1").value()};
const Addresses kTwo = {kOne[0], net::IpAddress::Parse("192.0.2.2").value()};

TEST(AddressCache, KeepsANameAsLongAsItsRecordsLive) {
  AddressCache cache(8);
  AddressCache::TimePoint start{};
  cache.Put("a", kOne, seconds(30), start);
  EXPECT_THAT(cache.Find("a", start + seconds(29)), Pointee(kOne));
  EXPECT_EQ(cache.Find("a", start + seconds(30)), nullptr);
  EXPECT_EQ(cache.Find("b", start), nullptr);
  cache.Put("b", kOne, seconds(0), start);
  EXPECT_EQ(cache.Find("b", start), nullptr);
}

TEST(AddressCache, ANewAnswerReplacesTheOldOne) {
  AddressCache cache(8);
  AddressCache::TimePoint start{};
  cache.Put("a", kOne, seconds(30), start);
  cache.Put("a", kTwo, seconds(60), start);
  EXPECT_THAT(cache.Find("a", start + seconds(59)), Pointee(kTwo));
  EXPECT_EQ(cache.size(), 1u);
}

TEST(AddressCache, AtTheBoundTheOldestNameGoes) {
  AddressCache cache(2);
  AddressCache::TimePoint start{};
  for (const char* name : {"a", "b", "a", "c"}) cache.Put(name, kOne, seconds(30), start);
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(cache.Find("a", start), nullptr);
  EXPECT_THAT(cache.Find("b", start), Pointee(SizeIs(1)));
  EXPECT_THAT(cache.Find("c", start), Pointee(SizeIs(1)));
}

}  // namespace
}  // namespace ambit::names
