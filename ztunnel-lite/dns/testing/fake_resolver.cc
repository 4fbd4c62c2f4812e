#include "ztunnel-lite/dns/testing/fake_resolver.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "lib/net/socket.h"
#include "ztunnel-lite/dns/listeners.h"
#include "ztunnel-lite/dns/message.h"
#include "ztunnel-lite/dns/testing/decoded.h"

namespace ambit::dns::testing {
namespace {

template <typename T>
T Must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "fake resolver: %s\n", result.error().message().c_str());
  std::abort();
}

}  // namespace

FakeResolver::FakeResolver(const std::vector<net::Endpoint>& endpoints, Script script)
    : script_(std::move(script)), stop_(eventfd(0, EFD_CLOEXEC)) {
  for (const auto& at : endpoints) {
    sockets_.push_back({Must(BindUdp(at, {.reuse_port = false})), at, false});
    sockets_.push_back({Must(net::ListenTcp(at, {.dual_stack = false})), at, true});
  }
  thread_ = std::thread([this] { Run(); });
}

FakeResolver::~FakeResolver() {
  const uint64_t one = 1;
  if (write(stop_.get(), &one, sizeof(one)) < 0) std::abort();
  thread_.join();
}

std::vector<Received> FakeResolver::received() const {
  std::lock_guard lock(mutex_);
  return received_;
}

void FakeResolver::Run() {
  while (true) {
    std::vector<pollfd> waiting{{.fd = stop_.get(), .events = POLLIN, .revents = 0}};
    for (const auto& socket : sockets_) {
      waiting.push_back({.fd = socket.fd.get(), .events = POLLIN, .revents = 0});
    }
    poll(waiting.data(), waiting.size(), -1);
    if (waiting[0].revents != 0) return;
    for (size_t i = 0; i < sockets_.size(); ++i) {
      if (waiting[i + 1].revents == 0) continue;
      sockets_[i].tcp ? ServeConnection(sockets_[i]) : ServeDatagram(sockets_[i]);
    }
  }
}

std::vector<Bytes> FakeResolver::Answer(Received question) {
  {
    std::lock_guard lock(mutex_);
    received_.push_back(question);
  }
  return script_(question);
}

void FakeResolver::ServeDatagram(const Socket& socket) {
  std::array<std::byte, kMaxMessageBytes> buffer;
  net::SocketAddress from;
  const ssize_t got =
      recvfrom(socket.fd.get(), buffer.data(), buffer.size(), 0, from.get(), &from.length);
  if (got < 0) return;
  for (const auto& answer : Answer({Bytes(buffer.data(), buffer.data() + got),
                                    Must(net::FromSocketAddress(from)), socket.at, false})) {
    if (sendto(socket.fd.get(), answer.data(), answer.size(), 0, from.get(), from.length) < 0) {
      std::perror("fake resolver");
    }
  }
}

// One question, its answers, and the end.
void FakeResolver::ServeConnection(const Socket& socket) {
  const UniqueFd fd(accept4(socket.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
  std::array<std::byte, 2> length;
  if (recv(fd.get(), length.data(), length.size(), MSG_WAITALL) != 2) return;
  Bytes message(std::to_integer<size_t>(length[0]) << 8 | std::to_integer<size_t>(length[1]));
  const auto size = static_cast<ssize_t>(message.size());
  if (recv(fd.get(), message.data(), message.size(), MSG_WAITALL) != size) return;
  for (const auto& answer : Answer({message, Must(net::PeerEndpoint(fd.get())), socket.at, true})) {
    Bytes framed{std::byte(answer.size() >> 8), std::byte(answer.size() & 0xff)};
    framed.insert(framed.end(), answer.begin(), answer.end());
    if (send(fd.get(), framed.data(), framed.size(), MSG_NOSIGNAL) < 0) return;
  }
}

Bytes AnswerTo(const Bytes& question, const std::string& records, uint16_t answers) {
  auto query = ParseQuery(question);
  const size_t end = query ? query->question_end : question.size();
  Bytes answer(question.begin(), question.begin() + static_cast<std::ptrdiff_t>(end));
  answer[2] |= std::byte(0x80);
  answer[3] = std::byte(0x80);
  answer[7] = std::byte(answers);
  answer[9] = answer[11] = std::byte(0);
  const Bytes rest = Hex(records);
  answer.insert(answer.end(), rest.begin(), rest.end());
  return answer;
}

}  // namespace ambit::dns::testing
