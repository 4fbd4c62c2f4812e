#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>

#include "ztunnel-lite/zds/message.h"
#include "ztunnel-lite/zds/pod_set.h"

// Packets as an agent may send them, over connections that come and go. A packet is its length, a
// byte that says how many descriptors come along or what becomes of the connection, and its bytes.
namespace ambit::zds {
namespace {

void Expect(bool condition) {
  if (!condition) std::abort();
}

// Fails for pods whose uid begins with 'f'; else knows which run.
class Handler : public PodHandler {
 public:
  Result<void> Start(const Pod& pod, UniqueFd netns) override {
    Expect(netns.valid());
    running.erase(pod.uid);
    if (pod.uid.starts_with('f')) return Fail(ErrorCode::kIo, "port 15008 is taken");
    running.insert(pod.uid);
    return {};
  }
  void Stop(const std::string& uid) override { running.erase(uid); }

  std::set<std::string> running;
};

class Session {
 public:
  void Run(const uint8_t* data, size_t size) {
    set_.Connected();
    while (size >= 2) {
      const size_t length = std::min<size_t>(data[0], size - 2);
      Take(data[1], ByteSpan(reinterpret_cast<const std::byte*>(data + 2), length));
      data += length + 2;
      size -= length + 2;
      Check();
    }
    set_.Disconnected();
    Expect(!readiness_.Pending().empty());
  }

 private:
  void Take(uint8_t what, ByteSpan bytes) {
    if (what >= 0xf0) {
      set_.Disconnected();
      set_.Connected();
      return;
    }
    if (what >= 0xe0) return (void)set_.RetryPending();
    net::Packet packet;
    packet.bytes.assign(bytes.begin(), bytes.end());
    packet.truncated = (what & 0x80) != 0;
    for (int i = 0; i < (what & 3); ++i) {
      packet.fds.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
    }
    const bool broken = packet.truncated;
    auto message = Decode(std::move(packet));
    Expect(!(broken && message));
    if (!message) return;
    // Whatever the answer is, it fits into what the agent reads.
    auto handled = set_.Handle(std::move(*message));
    Expect(!EncodeAck(handled ? "" : handled.error().message()).empty());
  }

  void Check() const {
    size_t up = 0;
    for (const auto& [uid, entry] : set_.List()) {
      Expect(uid == entry.first.uid);
      if (!entry.second) continue;
      ++up;
      Expect(handler_.running.contains(uid));
    }
    Expect(up == handler_.running.size());
  }

  Handler handler_;
  observe::Readiness readiness_;
  prometheus::Registry metrics_;
  PodSet set_{handler_, readiness_, metrics_};
};

}  // namespace
}  // namespace ambit::zds

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ambit::zds::Session().Run(data, size);
  return 0;
}
