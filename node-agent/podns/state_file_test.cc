#include "node-agent/podns/state_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

namespace ambit::podns {
namespace {

class StateFileTest : public testing::Test {
 protected:
  StateFileTest() {
    std::string pattern = "/tmp/ambit-podns-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~StateFileTest() override { std::filesystem::remove_all(folder_); }

  // A namespace that lives as long as the returned descriptor.
  static UniqueFd NewNetns() {
    UniqueFd made;
    std::thread([&made] {
      if (unshare(CLONE_NEWNET) == 0) made = std::move(net::OpenOwnNetns().value());
    }).join();
    return made;
  }
  static std::string PathOf(const UniqueFd& netns) {
    return "/proc/self/fd/" + std::to_string(netns.get());
  }
  static net::NetnsId Host() { return net::IdentifyNetns(net::OpenOwnNetns()->get()).value(); }
  static SavedPod Pod(const std::string& path, net::NetnsId id) {
    SavedPod pod{"uid-1", "default", "web", {.netns_path = path, .netns = id}, true};
    pod.sandbox.container_id = "c1";
    pod.sandbox.ifname = "eth0";
    pod.sandbox.ips = {net::IpAddress::Parse("10.0.0.7").value(),
                       net::IpAddress::Parse("fd00::7").value()};
    return pod;
  }

  std::string folder_;
};

TEST_F(StateFileTest, WhatIsSavedIsLoaded) {
  StateFile file(folder_, "boot");
  SavedPod pod = Pod("/run/netns/x", {4, 77});
  ASSERT_TRUE(file.Save({pod}).has_value());
  auto loaded = file.Load();
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
  ASSERT_EQ(loaded->size(), 1u);
  const SavedPod& got = loaded->front();
  EXPECT_EQ(got.uid, "uid-1");
  EXPECT_EQ(got.name, "web");
  EXPECT_EQ(got.sandbox.netns, pod.sandbox.netns);
  EXPECT_EQ(got.sandbox.ips, pod.sandbox.ips);
  EXPECT_EQ(got.sandbox.container_id, "c1");
  EXPECT_EQ(got.sandbox.ifname, "eth0");
  EXPECT_TRUE(got.rules);
}

TEST_F(StateFileTest, TheFileIsForRootOnlyAndNothingElseIsLeftInTheFolder) {
  StateFile file(folder_, "boot");
  ASSERT_TRUE(file.Save({}).has_value());
  struct stat status;
  ASSERT_EQ(stat((folder_ + "/pods.json").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  auto files = std::filesystem::directory_iterator(folder_);
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST_F(StateFileTest, NoFileAndAFileOfAnotherBootGiveNoPods) {
  EXPECT_TRUE(StateFile(folder_, "boot").Load()->empty());
  ASSERT_TRUE(StateFile(folder_, "earlier").Save({Pod("/run/netns/x", {4, 77})}).has_value());
  EXPECT_TRUE(StateFile(folder_, "boot").Load()->empty());
}

TEST_F(StateFileTest, ADamagedFileIsAnErrorWithItsPath) {
  for (const char* text : {"", "{", "[]", "{\"format\":1}", "{\"format\":2,\"bootID\":\"boot\"}",
                           "{\"format\":1,\"bootID\":\"boot\",\"pods\":[{\"uid\":3}]}"}) {
    std::ofstream(folder_ + "/pods.json") << text;
    auto loaded = StateFile(folder_, "boot").Load();
    ASSERT_FALSE(loaded.has_value()) << text;
    EXPECT_THAT(loaded.error().message(), testing::HasSubstr(folder_));
  }
}

TEST_F(StateFileTest, OnlyAPathThatStillLeadsToTheSameNamespaceIsTrusted) {
  UniqueFd same = NewNetns();
  UniqueFd other = NewNetns();
  ASSERT_TRUE(same.valid() && other.valid());
  auto id = net::IdentifyNetns(same.get()).value();
  std::vector<std::string> dropped;
  auto kept = Reopen({Pod(PathOf(same), id), Pod(PathOf(other), id), Pod("/run/netns/none", id)},
                     Host(), dropped);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].sandbox.netns_path, PathOf(same));
  EXPECT_NE(kept[0].sandbox.handle, nullptr);
  EXPECT_EQ(dropped.size(), 2u);
}

TEST_F(StateFileTest, TheNodesOwnNamespaceIsNeverASandbox) {
  auto sandbox = OpenSandbox("/proc/self/ns/net", Host());
  ASSERT_FALSE(sandbox.has_value());
  EXPECT_EQ(sandbox.error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(StateFileTest, ASandboxKnowsWhetherItsPathStillLeadsToIt) {
  UniqueFd netns = NewNetns();
  auto sandbox = OpenSandbox(PathOf(netns), Host());
  ASSERT_TRUE(sandbox.has_value());
  EXPECT_TRUE(StillThere(*sandbox));
  sandbox->netns_path = "/run/netns/none";
  EXPECT_FALSE(StillThere(*sandbox));
}

}  // namespace
}  // namespace ambit::podns
