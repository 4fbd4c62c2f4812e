#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/net/netns.h"
#include "lib/net/packet.h"
#include "proto/zds.pb.h"

namespace ambit::agent {

// A tunnel for tests: says hello, acknowledges everything, remembers what it was told.
class FakeTunnel {
 public:
  explicit FakeTunnel(const std::string& path)
      : socket_(std::move(net::ConnectSeqpacket(path).value())), stop_(eventfd(0, EFD_CLOEXEC)) {
    istio::workload::zds::ZdsHello hello;
    hello.set_version(istio::workload::zds::V1);
    Send(hello.SerializeAsString());
    thread_ = std::thread([this] { Serve(); });
  }
  ~FakeTunnel() {
    uint64_t one = 1;
    (void)!write(stop_.get(), &one, sizeof(one));
    thread_.join();
  }

  // Adds are refused from here on.
  void Refuse(const std::string& words) {
    std::lock_guard lock(mutex_);
    refusal_ = words;
  }
  // The namespace that the tunnel serves the pod in.
  std::optional<net::NetnsId> Netns(const std::string& uid) const {
    std::lock_guard lock(mutex_);
    auto found = pods_.find(uid);
    return found == pods_.end() ? std::nullopt : std::optional(found->second.netns);
  }
  // "namespace/name/service account"
  std::string Identity(const std::string& uid) const {
    std::lock_guard lock(mutex_);
    return pods_.at(uid).identity;
  }
  std::vector<std::string> Order() const {
    std::lock_guard lock(mutex_);
    return order_;
  }
  bool snapshot_done() const {
    std::lock_guard lock(mutex_);
    return snapshot_done_;
  }

 private:
  struct Pod {
    net::NetnsId netns;
    std::string identity;
  };

  void Send(const std::string& bytes) { (void)net::SendPacket(socket_.get(), AsBytes(bytes)); }

  void Serve() {
    while (true) {
      pollfd fds[2] = {{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                       {.fd = stop_.get(), .events = POLLIN, .revents = 0}};
      poll(fds, 2, -1);
      if (fds[1].revents != 0) return;
      auto packet = net::ReceivePacket(socket_.get(), 1024);
      if (!packet || packet->bytes.empty()) return;
      Take(*packet);
    }
  }
  void Take(const net::Packet& packet) {
    istio::workload::zds::WorkloadRequest request;
    request.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()));
    std::lock_guard lock(mutex_);
    istio::workload::zds::WorkloadResponse response;
    response.mutable_ack();
    if (request.has_add()) {
      const auto& add = request.add();
      order_.push_back("add " + add.uid());
      response.mutable_ack()->set_error(refusal_);
      const auto& info = add.workload_info();
      if (refusal_.empty()) {
        pods_[add.uid()] = {net::IdentifyNetns(packet.fds.at(0).get()).value(),
                            info.namespace_() + "/" + info.name() + "/" + info.service_account()};
      }
    } else if (request.has_del()) {
      order_.push_back("del " + request.del().uid());
      pods_.erase(request.del().uid());
    } else if (request.has_snapshot_sent()) {
      order_.push_back("snapshot");
      snapshot_done_ = true;
    }
    Send(response.SerializeAsString());
  }

  UniqueFd socket_;
  UniqueFd stop_;
  mutable std::mutex mutex_;
  std::map<std::string, Pod> pods_;
  std::vector<std::string> order_;
  std::string refusal_;
  bool snapshot_done_ = false;
  std::thread thread_;
};

}  // namespace ambit::agent
