#include "ztunnel-lite/proxy/testing/recording_traffic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace ambit::proxy::testing {
namespace {

constexpr std::chrono::seconds kPatience{10};

size_t IndexOf(telemetry::Reporter reporter) { return static_cast<size_t>(reporter); }

}  // namespace

class RecordingTraffic::Record : public telemetry::ConnectionRecord {
 public:
  Record(RecordingTraffic& traffic, telemetry::ConnectionInfo info) : traffic_(traffic) {
    ended_.info = std::move(info);
  }
  ~Record() override { traffic_.End(std::move(ended_)); }
  void AddBytes(uint64_t received, uint64_t sent) override {
    ended_.received += received;
    ended_.sent += sent;
  }
  void FinishOk() override { ended_.finished = true; }
  void FinishError(telemetry::Flag flag, const Error& error) override {
    ended_.finished = true;
    ended_.flag = flag;
    ended_.error = error.message();
  }

 private:
  RecordingTraffic& traffic_;
  Ended ended_;
};

std::unique_ptr<telemetry::ConnectionRecord> RecordingTraffic::Open(
    telemetry::ConnectionInfo info) {
  std::lock_guard lock(mutex_);
  ++open_[IndexOf(info.reporter)];
  changed_.notify_all();
  return std::make_unique<Record>(*this, std::move(info));
}

void RecordingTraffic::End(Ended ended) {
  std::lock_guard lock(mutex_);
  --open_[IndexOf(ended.info.reporter)];
  ended_.push_back(std::move(ended));
  changed_.notify_all();
}

void RecordingTraffic::EarlyDeny(telemetry::Reporter reporter, const net::Endpoint& source,
                                 const net::Endpoint& destination, const Error& error) {
  std::lock_guard lock(mutex_);
  denied_.push_back({reporter, source, destination, error.message()});
  changed_.notify_all();
}

void RecordingTraffic::SocketOpened(telemetry::Reporter) {
  std::lock_guard lock(mutex_);
  ++sockets_;
}

void RecordingTraffic::SocketClosed(telemetry::Reporter) {
  std::lock_guard lock(mutex_);
  --sockets_;
}

RecordingTraffic::Ended RecordingTraffic::WaitEnded(telemetry::Reporter reporter) {
  std::unique_lock lock(mutex_);
  auto is_ours = [&](const Ended& ended) { return ended.info.reporter == reporter; };
  bool came =
      changed_.wait_for(lock, kPatience, [&] { return std::ranges::any_of(ended_, is_ours); });
  EXPECT_TRUE(came) << "no connection ended";
  return came ? *std::ranges::find_if(ended_, is_ours) : Ended();
}

RecordingTraffic::Denied RecordingTraffic::WaitDenied(telemetry::Reporter reporter) {
  std::unique_lock lock(mutex_);
  auto is_ours = [&](const Denied& denied) { return denied.reporter == reporter; };
  bool came =
      changed_.wait_for(lock, kPatience, [&] { return std::ranges::any_of(denied_, is_ours); });
  EXPECT_TRUE(came) << "nothing was denied";
  return came ? *std::ranges::find_if(denied_, is_ours) : Denied();
}

bool RecordingTraffic::WaitOpen(telemetry::Reporter reporter, int count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return open_[IndexOf(reporter)] == count; });
}

int RecordingTraffic::sockets_open() {
  std::lock_guard lock(mutex_);
  return sockets_;
}

size_t RecordingTraffic::ended_count() {
  std::lock_guard lock(mutex_);
  return ended_.size();
}

void RecordingTraffic::Clear() {
  std::lock_guard lock(mutex_);
  ended_.clear();
  denied_.clear();
}

}  // namespace ambit::proxy::testing
