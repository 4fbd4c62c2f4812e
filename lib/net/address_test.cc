#include "lib/net/address.h"

#include <gtest/gtest.h>

namespace ambit::net {
namespace {

TEST(IpAddress, ParsesBothFamiliesAndPrintsThemCanonically) {
  EXPECT_EQ(IpAddress::Parse("10.0.0.7")->ToString(), "10.0.0.7");
  EXPECT_EQ(IpAddress::Parse("2001:db8:0:0::0001")->ToString(), "2001:db8::1");
}

TEST(IpAddress, MappedAddressBecomesIpv4) {
  auto mapped = IpAddress::Parse("::ffff:10.0.0.7");
  ASSERT_TRUE(mapped.has_value());
  EXPECT_TRUE(mapped->is_v4());
  EXPECT_EQ(*mapped, *IpAddress::Parse("10.0.0.7"));
}

TEST(IpAddress, RefusesWhatIsNoAddress) {
  using namespace std::literals;
  for (std::string_view bad : {""sv, "10.0.0"sv, "10.0.0.256"sv, "[::1]"sv, "fe80::1%eth0"sv,
                               "10.0.0.1\0x"sv, " 10.0.0.1"sv}) {
    EXPECT_FALSE(IpAddress::Parse(bad).has_value()) << bad;
  }
}

TEST(IpAddress, KnowsLoopbackAndUnspecified) {
  EXPECT_TRUE(IpAddress::Parse("127.9.9.9")->IsLoopback());
  EXPECT_TRUE(IpAddress::Parse("::1")->IsLoopback());
  EXPECT_FALSE(IpAddress::Parse("::2")->IsLoopback());
  EXPECT_TRUE(IpAddress::Parse("::")->IsUnspecified());
  EXPECT_EQ(IpAddress::Loopback(Family::kIpv4).ToString(), "127.0.0.1");
}

TEST(Endpoint, RoundTripsBothFamilies) {
  for (const char* text : {"10.0.0.7:15008", "[2001:db8::1]:80"}) {
    EXPECT_EQ(Endpoint::Parse(text)->ToString(), text);
    EXPECT_EQ(*FromSocketAddress(ToSocketAddress(*Endpoint::Parse(text))), *Endpoint::Parse(text));
  }
}

TEST(Endpoint, RefusesMissingBracketsAndBadPorts) {
  for (const char* bad : {"10.0.0.7", "10.0.0.7:", "10.0.0.7:65536", "2001:db8::1:80",
                          "[10.0.0.7]:80", "web:80", ":80", "10.0.0.7:-1"}) {
    EXPECT_FALSE(Endpoint::Parse(bad).has_value()) << bad;
  }
}

TEST(Cidr, ContainsOnlyItsOwnFamilyAndPrefix) {
  auto v4 = Cidr::Parse("10.1.2.3/9").value();
  EXPECT_EQ(v4.ToString(), "10.0.0.0/9");
  EXPECT_TRUE(v4.Contains(*IpAddress::Parse("10.127.0.1")));
  EXPECT_FALSE(v4.Contains(*IpAddress::Parse("10.128.0.1")));
  EXPECT_FALSE(v4.Contains(*IpAddress::Parse("2001:db8::1")));
  EXPECT_TRUE(Cidr::Parse("::/0")->Contains(*IpAddress::Parse("2001:db8::1")));
  EXPECT_TRUE(Cidr::Parse("10.0.0.1")->Contains(*IpAddress::Parse("10.0.0.1")));
  EXPECT_FALSE(Cidr::Parse("10.0.0.0/33").has_value());
  EXPECT_FALSE(Cidr::Parse("10.0.0.0/").has_value());
}

}  // namespace
}  // namespace ambit::net
