#include "cni-plugin/prev_result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ambit::cni {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

Config WithResult(std::string version, std::string result) {
  auto config = ParseConfig(R"({"name": "mesh", "cniVersion": ")" + version +
                            R"(", "prevResult": )" + result + "}");
  EXPECT_TRUE(config.has_value()) << config.error().message;
  return config.value_or(Config{});
}

void ExpectRefused(std::string result, CniCode code, const std::string& part) {
  auto addresses = ReadAddresses(WithResult("1.0.0", result));
  ASSERT_FALSE(addresses.has_value()) << result;
  EXPECT_EQ(addresses.error().code, code);
  EXPECT_THAT(addresses.error().message, HasSubstr(part));
}

TEST(PrevResult, AddressesKeepTheirHostBitsMaskAndGateway) {
  auto addresses = ReadAddresses(WithResult("1.1.0", R"({"ips": [
      {"address": "10.1.2.3/20", "gateway": "10.1.0.1", "interface": 2},
      {"address": "fd00::5/64"}]})"));
  ASSERT_TRUE(addresses.has_value()) << addresses.error().message;
  ASSERT_EQ(addresses->size(), 2u);
  EXPECT_EQ((*addresses)[0].address.ToString(), "10.1.2.3");
  EXPECT_EQ(HexEncode((*addresses)[0].mask), "fffff000");
  EXPECT_EQ((*addresses)[0].gateway, "10.1.0.1");
  EXPECT_EQ((*addresses)[0].interface, 2);
  EXPECT_EQ((*addresses)[1].address.ToString(), "fd00::5");
  EXPECT_EQ(HexEncode((*addresses)[1].mask), "ffffffffffffffff0000000000000000");
  EXPECT_EQ((*addresses)[1].interface, std::nullopt);
}

TEST(PrevResult, MasksOfEveryEdgeLengthAreRight) {
  auto addresses = ReadAddresses(
      WithResult("1.1.0", R"({"ips": [{"address": "1.2.3.4/0"}, {"address": "1.2.3.4/32"},
                           {"address": "1.2.3.4/8"}, {"address": "::1/128"}]})"));
  ASSERT_TRUE(addresses.has_value()) << addresses.error().message;
  EXPECT_EQ(HexEncode((*addresses)[0].mask), "00000000");
  EXPECT_EQ(HexEncode((*addresses)[1].mask), "ffffffff");
  EXPECT_EQ(HexEncode((*addresses)[2].mask), "ff000000");
  EXPECT_EQ(HexEncode((*addresses)[3].mask), std::string(32, 'f'));
}

TEST(PrevResult, NoResultMeansNoAddressesAndAnEmptyResult) {
  Config config{.cni_version = "0.4.0", .name = "a", .prev_result = {}, .valid_attachments = {}};
  EXPECT_TRUE(ReadAddresses(config)->empty());
  EXPECT_EQ(Json::parse(RenderResult(config)), Json::parse(R"({"cniVersion": "0.4.0"})"));
}

TEST(PrevResult, WhatIsNoAddressIsADecodeError) {
  ExpectRefused(R"({"ips": {}})", CniCode::kDecode, "\"ips\"");
  ExpectRefused(R"({"ips": [1]})", CniCode::kDecode, "ips[0]");
  ExpectRefused(R"({"ips": [{}]})", CniCode::kDecode, "ips[0]");
  ExpectRefused(R"({"ips": [{"address": 5}]})", CniCode::kDecode, "ips[0]");
  for (const char* bad : {"10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/8x",
                          "::1/129", "x/8", "/8", ""}) {
    ExpectRefused(
        R"({"ips": [{"address": "1.2.3.4/8"}, {"address": ")" + std::string(bad) + R"("}]})",
        CniCode::kDecode, "ips[1]");
  }
  ExpectRefused(R"({"ips": [{"address": "1.2.3.4/8", "gateway": 1}]})", CniCode::kDecode,
                "gateway");
  ExpectRefused(R"({"ips": [{"address": "1.2.3.4/8", "interface": "a"}]})", CniCode::kDecode,
                "interface");
  ExpectRefused(R"({"cniVersion": 4})", CniCode::kDecode, "cniVersion");
}

TEST(PrevResult, AResultOfAVersionWeDoNotSpeakIsAnUnsupportedField) {
  ExpectRefused(R"({"cniVersion": "0.2.0", "ip4": {}})", CniCode::kUnsupportedField, "0.2.0");
}

TEST(PrevResult, EveryKeyComesOutInItsOrder) {
  std::string result =
      R"({"zeta":1,"cniVersion":"1.1.0","interfaces":[{"name":"eth0","mtu":1400,"socketPath":"/s",)"
      R"("pciID":"p","x":[]}],"ips":[{"interface":0,"gateway":"10.0.0.1","address":"10.0.0.5/24"}],)"
      R"("routes":[{"dst":"0.0.0.0/0","mtu":1,"advmss":2,"priority":3,"table":4,"scope":0}],)"
      R"("dns":{"nameservers":["1.1.1.1"]},"big":18446744073709551615,"alpha":{"b":null,"a":"ü"}})";
  EXPECT_EQ(Json::parse(RenderResult(WithResult("1.1.0", result))).dump(), result);
}

TEST(PrevResult, TheVersionIsTheConfigurations) {
  EXPECT_EQ(
      Json::parse(RenderResult(WithResult("1.0.0", R"({"a":1,"cniVersion":"1.1.0"})"))).dump(),
      R"({"a":1,"cniVersion":"1.0.0"})");
  EXPECT_EQ(Json::parse(RenderResult(WithResult("1.0.0", R"({"a":1})"))).dump(),
            R"({"cniVersion":"1.0.0","a":1})");
}

TEST(PrevResult, AddressesSayTheirFamilyOnlyBeforeOneZero) {
  const char* plain = R"({"ips": [{"address": "1.2.3.4/8"}, {"address": "::1/128"}]})";
  const char* tagged = R"({"ips": [{"version": "4", "address": "1.2.3.4/8"}]})";
  Json old = Json::parse(RenderResult(WithResult("0.3.1", plain)));
  EXPECT_EQ(old["ips"][0]["version"], "4");
  EXPECT_EQ(old["ips"][1]["version"], "6");
  EXPECT_EQ(Json::parse(RenderResult(WithResult("0.4.0", tagged)))["ips"][0]["version"], "4");
  EXPECT_FALSE(
      Json::parse(RenderResult(WithResult("1.0.0", tagged)))["ips"][0].contains("version"));
}

}  // namespace
}  // namespace ambit::cni
