#include "cni-plugin/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::cni {
namespace {

using ::testing::HasSubstr;

// A configuration with `keys` besides the required ones.
std::string With(const std::string& keys) {
  return R"({"cniVersion": "1.1.0", "name": "mesh")" + (keys.empty() ? "" : ", " + keys) + "}";
}

void ExpectRefused(const std::string& text, CniCode code, const std::string& part) {
  auto config = ParseConfig(text);
  ASSERT_FALSE(config.has_value()) << text.substr(0, 200);
  EXPECT_EQ(config.error().code, code) << config.error().message;
  EXPECT_THAT(config.error().message, HasSubstr(part));
}

TEST(Config, DefaultsHoldWhereKeysAreAbsentOrNull) {
  for (const char* keys : {"", R"("agent_socket": null, "agent_timeout_ms": null,
                                  "prevResult": null, "cni.dev/valid-attachments": null)"}) {
    auto config = ParseConfig(With(keys));
    ASSERT_TRUE(config.has_value()) << config.error().message;
    EXPECT_EQ(config->agent_socket, "/run/ambit/agent.sock");
    EXPECT_EQ(config->agent_timeout, std::chrono::milliseconds(20000));
    EXPECT_FALSE(config->prev_result.has_value());
    EXPECT_FALSE(config->valid_attachments.has_value());
  }
}

TEST(Config, OwnKeysAreReadAndForeignOnesIgnored) {
  auto config = ParseConfig(With(R"("type": "ambit-cni", "ipam": {}, "log_level": 7,
      "agent_socket": "/x/a.sock", "agent_timeout_ms": 100)"));
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->agent_socket, "/x/a.sock");
  EXPECT_EQ(config->agent_timeout, std::chrono::milliseconds(100));
}

TEST(Config, EverySupportedVersionIsTaken) {
  for (const char* version : {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}) {
    auto config = ParseConfig(R"({"name": "a", "cniVersion": ")" + std::string(version) + "\"}");
    ASSERT_TRUE(config.has_value()) << version;
    EXPECT_EQ(config->cni_version, version);
  }
}

TEST(Config, OtherVersionsAreIncompatible) {
  for (const char* version : {"0.1.0", "0.2.0", "1.2.0", "1.1", "v1.0.0", "banana"}) {
    ExpectRefused(R"({"name": "a", "cniVersion": ")" + std::string(version) + "\"}",
                  CniCode::kIncompatibleVersion, version);
  }
  ExpectRefused(R"({"name": "a"})", CniCode::kIncompatibleVersion, "0.1.0");
}

TEST(Config, WhatIsNoJsonObjectIsADecodeError) {
  ExpectRefused("", CniCode::kDecode, "is not JSON");
  ExpectRefused("{\"name\": ", CniCode::kDecode, "is not JSON");
  ExpectRefused(With("") + "x", CniCode::kDecode, "is not JSON");
  ExpectRefused(With("\"a\": \"\xff\""), CniCode::kDecode, "is not JSON");
  ExpectRefused("[1]", CniCode::kDecode, "not a JSON object");
  ExpectRefused(std::string(100000, '['), CniCode::kDecode, "64 levels");
  ExpectRefused(std::string(kMaxConfigBytes + 1, ' '), CniCode::kDecode, "4 MiB");
}

TEST(Config, BracketsInsideTextsAreNoNesting) {
  EXPECT_TRUE(ParseConfig(With("\"a\": \"\\\"" + std::string(500, '[') + "\"")).has_value());
}

TEST(Config, KeysOfTheWrongTypeAreDecodeErrors) {
  ExpectRefused(R"({"cniVersion": 1, "name": "a"})", CniCode::kDecode, "\"cniVersion\"");
  ExpectRefused(R"({"cniVersion": "1.1.0", "name": 1})", CniCode::kDecode, "\"name\"");
  ExpectRefused(With(R"("agent_socket": [])"), CniCode::kDecode, "\"agent_socket\"");
  ExpectRefused(With(R"("agent_timeout_ms": "5")"), CniCode::kDecode, "\"agent_timeout_ms\"");
  ExpectRefused(With(R"("agent_timeout_ms": 1.5)"), CniCode::kDecode, "\"agent_timeout_ms\"");
  ExpectRefused(With(R"("prevResult": "x")"), CniCode::kDecode, "\"prevResult\"");
  ExpectRefused(With(R"("cni.dev/valid-attachments": {})"), CniCode::kDecode, "valid-attachments");
  ExpectRefused(With(R"("cni.dev/valid-attachments": [1])"), CniCode::kDecode, "valid-attachments");
  ExpectRefused(With(R"("cni.dev/valid-attachments": [{"containerID": "a"}])"), CniCode::kDecode,
                "valid-attachments");
}

TEST(Config, ValuesThatCannotWorkAreBadConfiguration) {
  ExpectRefused(R"({"cniVersion": "1.1.0"})", CniCode::kBadConfig, "no \"name\"");
  ExpectRefused(R"({"cniVersion": "1.1.0", "name": ""})", CniCode::kBadConfig, "no \"name\"");
  ExpectRefused(R"({"cniVersion": "1.1.0", "name": "a b"})", CniCode::kBadConfig, "a b");
  ExpectRefused(With(R"("agent_socket": "a.sock")"), CniCode::kBadConfig, "a.sock");
  ExpectRefused(With(R"("agent_socket": "/)" + std::string(107, 'x') + "\""), CniCode::kBadConfig,
                "socket");
  ExpectRefused(With(R"("agent_timeout_ms": 99)"), CniCode::kBadConfig, "99");
  ExpectRefused(With(R"("agent_timeout_ms": 120001)"), CniCode::kBadConfig, "120001");
  ExpectRefused(With(R"("agent_timeout_ms": -9223372036854775808)"), CniCode::kBadConfig, "-9223");
  ExpectRefused(With(R"("agent_timeout_ms": 18446744073709551615)"), CniCode::kBadConfig, "1844");
}

TEST(Config, TheValidAttachmentsOfAGarbageCollectionAreRead) {
  auto config = ParseConfig(
      With(R"("cni.dev/valid-attachments": [{"containerID": "a", "ifname": "eth0", "more": 1}])"));
  ASSERT_TRUE(config.has_value()) << config.error().message;
  ASSERT_EQ(config->valid_attachments->size(), 1u);
  EXPECT_EQ((*config->valid_attachments)[0].container_id, "a");
  EXPECT_EQ((*config->valid_attachments)[0].ifname, "eth0");
}

}  // namespace
}  // namespace ambit::cni
