#include "ztunnel-lite/local/source.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace ambit::local {
namespace {

namespace fs = std::filesystem;

std::string WorkloadText(const std::string& name, const std::string& address) {
  return "- {uid: " + name + ", name: " + name + ", namespace: ns, workloadIps: [" + address +
         "]}\n";
}

constexpr char kPolicyText[] =
    "policies: [{name: p, namespace: ns, scope: Global, action: Deny, rules: []}]\n";

class LocalSource : public testing::Test {
 protected:
  LocalSource() {
    std::string pattern = fs::temp_directory_path() / "ambit-local-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    config_.local_xds_path = folder_ / "mesh.yaml";
    mesh_.OnChange([this](state::MeshState::Batch batch) { batches_.push_back(batch); });
  }
  ~LocalSource() override { fs::remove_all(folder_); }

  void Write(const std::string& text) { std::ofstream(config_.local_xds_path) << text; }
  Result<void> Start() {
    auto source = Source::Start({config_, mesh_, io_, log_});
    if (!source) return std::unexpected(source.error());
    source_ = std::move(*source);
    return {};
  }
  // Runs the loop until it is so; false after ten seconds.
  template <typename Condition>
  bool Becomes(Condition condition) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      io_.run_one_until(deadline);
    }
    return condition();
  }

  fs::path folder_;
  config::Config config_;
  state::MeshState mesh_;
  std::vector<state::MeshState::Batch> batches_;
  boost::asio::io_context io_{1};
  observe::MemoryLog log_;
  std::unique_ptr<Source> source_;
};

TEST_F(LocalSource, WithoutAFileThereIsNothing) {
  config_.local_xds_path.clear();
  ASSERT_TRUE(Start().has_value());
  EXPECT_TRUE(mesh_.AllWorkloads().empty());
}

TEST_F(LocalSource, TheTextOfAVariableIsAFileThatNeverChanges) {
  config_.local_xds_path.clear();
  config_.local_xds = "workloads:\n" + WorkloadText("a", "10.0.0.1");
  ASSERT_TRUE(Start().has_value());
  EXPECT_NE(mesh_.FindWorkload("a"), nullptr);
}

TEST_F(LocalSource, AFileThatIsMissingOrBadEndsTheStart) {
  EXPECT_EQ(Start().error().code(), ErrorCode::kNotFound);
  Write("workloads:\n- nonsense: 1\n");
  auto started = Start();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().message(), "local configuration " + config_.local_xds_path +
                                           ": line 2: a workload needs the key \"workloadIps\"");
}

TEST_F(LocalSource, AChangedFileChangesOnlyWhatDiffers) {
  Write("workloads:\n" + WorkloadText("a", "10.0.0.1") + WorkloadText("b", "10.0.0.2") +
        kPolicyText);
  ASSERT_TRUE(Start().has_value());
  auto a = mesh_.FindWorkload("a");
  batches_.clear();
  Write("workloads:\n" + WorkloadText("a", "10.0.0.1") + WorkloadText("c", "10.0.0.3"));
  ASSERT_TRUE(Becomes([&] { return mesh_.FindWorkload("c") != nullptr; }));
  EXPECT_EQ(mesh_.FindWorkload("a"), a);
  EXPECT_EQ(mesh_.FindWorkload("b"), nullptr);
  EXPECT_TRUE(mesh_.AllPolicies().empty());
  ASSERT_EQ(batches_.size(), 1u);
  EXPECT_TRUE(batches_[0].policies);  // open connections are judged again
  EXPECT_TRUE(batches_[0].workloads);
  EXPECT_EQ(source_->loaded().workloads.size(), 2u);
}

TEST_F(LocalSource, ABadFileIsReportedAndChangesNothing) {
  Write("workloads:\n" + WorkloadText("a", "10.0.0.1"));
  ASSERT_TRUE(Start().has_value());
  Write("workloads:\n" + WorkloadText("b", "10.0.0.2") + "- bad: 1\n");
  ASSERT_TRUE(Becomes([&] { return log_.text().find("stays") != std::string::npos; }));
  EXPECT_NE(log_.text().find("line 3: "), std::string::npos) << log_.text();
  EXPECT_NE(mesh_.FindWorkload("a"), nullptr);
  EXPECT_EQ(mesh_.FindWorkload("b"), nullptr);
  EXPECT_EQ(source_->loaded().workloads.size(), 1u);
}

TEST_F(LocalSource, AFileThatGoesAwayLeavesWhatItSaid) {
  Write("workloads:\n" + WorkloadText("a", "10.0.0.1"));
  ASSERT_TRUE(Start().has_value());
  fs::remove(config_.local_xds_path);
  ASSERT_TRUE(Becomes([&] { return log_.text().find("stays") != std::string::npos; }));
  EXPECT_NE(mesh_.FindWorkload("a"), nullptr);
  Write("workloads:\n" + WorkloadText("b", "10.0.0.1"));
  ASSERT_TRUE(Becomes([&] { return mesh_.FindWorkload("b") != nullptr; }));
  EXPECT_EQ(mesh_.FindWorkload("a"), nullptr);
}

TEST_F(LocalSource, WhatTheControlPlanePutInThePlaceOfAValueStays) {
  Write("workloads:\n" + WorkloadText("a", "10.0.0.1") + kPolicyText);
  ASSERT_TRUE(Start().has_value());
  auto workload = std::make_shared<state::Workload>(*mesh_.FindWorkload("a"));
  workload->name = "of the control plane";
  mesh_.Upsert(state::WorkloadPtr(workload));
  Write("workloads:\n" + WorkloadText("b", "10.0.0.2"));
  ASSERT_TRUE(Becomes([&] { return mesh_.FindWorkload("b") != nullptr; }));
  EXPECT_EQ(mesh_.FindWorkload("a"), workload);
  EXPECT_TRUE(mesh_.AllPolicies().empty());
}

}  // namespace
}  // namespace ambit::local
