#include "node-agent/redirect/testing/traffic.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "lib/net/socket.h"

namespace ambit::redirect {
namespace {

constexpr auto kLimit = std::chrono::milliseconds(5000);

template <typename T>
T Must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "test traffic: %s\n", result.error().message().c_str());
  std::abort();
}

void Must(Result<void> result) {
  if (result) return;
  std::fprintf(stderr, "test traffic: %s\n", result.error().message().c_str());
  std::abort();
}

UniqueFd MakeUdp(int family, uint32_t mark) {
  UniqueFd fd(socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (mark != 0) Must(net::SetMark(fd.get(), mark));
  return fd;
}

}  // namespace

void Listeners::Add(const TestNetns& where, const std::string& name, uint16_t port) {
  const net::Endpoint any{net::IpAddress::Any(net::Family::kIpv6), port};
  fds_.push_back(where.In([&] { return Must(net::ListenTcp(any, {})); }));
  names_.push_back(name);
}

Arrival Listeners::Next(std::chrono::milliseconds limit) const {
  std::vector<pollfd> waiting;
  for (const UniqueFd& fd : fds_)
    waiting.push_back({.fd = fd.get(), .events = POLLIN, .revents = 0});
  if (poll(waiting.data(), waiting.size(), static_cast<int>(limit.count())) < 1) {
    return {.listener = "nobody", .peer = {}, .original_destination = {}, .fd = {}};
  }
  for (size_t i = 0; i < waiting.size(); ++i) {
    if (waiting[i].revents == 0) continue;
    UniqueFd fd(accept4(waiting[i].fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    auto peer = net::PeerEndpoint(fd.get());
    auto original = net::OriginalDestination(fd.get());
    return {.listener = names_[i],
            .peer = peer.value_or(net::Endpoint{}),
            .original_destination = original.value_or(net::Endpoint{}),
            .fd = std::move(fd)};
  }
  return {.listener = "nobody", .peer = {}, .original_destination = {}, .fd = {}};
}

UniqueFd Connect(const TestNetns& where, const net::Endpoint& target,
                 const ClientOptions& options) {
  UniqueFd fd = where.In([&] { return Must(net::MakeTcpSocket(target.address.family())); });
  if (options.mark != 0) Must(net::SetMark(fd.get(), options.mark));
  if (options.spoof) Must(net::BindForeignSource(fd.get(), options.source));
  if (!options.spoof && !options.source.IsUnspecified()) {
    const auto address = net::ToSocketAddress({options.source, 0});
    if (bind(fd.get(), address.get(), address.length) != 0) {
      Must(Result<void>(FailErrno(errno, "bind " + options.source.ToString())));
    }
  }
  Must(net::StartConnect(fd.get(), target));
  return fd;
}

UniqueFd BindUdp(const TestNetns& where, const net::Endpoint& local) {
  const int family = local.address.is_v4() ? AF_INET : AF_INET6;
  UniqueFd fd = where.In([&] { return MakeUdp(family, 0); });
  const auto address = net::ToSocketAddress(local);
  if (bind(fd.get(), address.get(), address.length) != 0) {
    Must(Result<void>(FailErrno(errno, "bind UDP " + local.ToString())));
  }
  return fd;
}

UniqueFd ConnectUdp(const TestNetns& where, const net::Endpoint& target, uint32_t mark) {
  const int family = target.address.is_v4() ? AF_INET : AF_INET6;
  UniqueFd fd = where.In([&] { return MakeUdp(family, mark); });
  const auto address = net::ToSocketAddress(target);
  if (connect(fd.get(), address.get(), address.length) != 0) {
    Must(Result<void>(FailErrno(errno, "connect UDP to " + target.ToString())));
  }
  return fd;
}

void Write(const UniqueFd& fd, const std::string& text) {
  pollfd waiting{.fd = fd.get(), .events = POLLOUT, .revents = 0};
  poll(&waiting, 1, static_cast<int>(kLimit.count()));
  if (send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) std::perror("test send");
}

bool Readable(const UniqueFd& fd, std::chrono::milliseconds limit) {
  pollfd waiting{.fd = fd.get(), .events = POLLIN, .revents = 0};
  return poll(&waiting, 1, static_cast<int>(limit.count())) == 1;
}

std::string Read(const UniqueFd& fd, std::chrono::milliseconds limit) {
  if (!Readable(fd, limit)) return "";
  std::array<char, 2048> buffer;
  const ssize_t got = recv(fd.get(), buffer.data(), buffer.size(), 0);
  return got > 0 ? std::string(buffer.data(), got) : "";
}

std::string Answer(const UniqueFd& fd) {
  if (!Readable(fd, kLimit)) return "";
  std::array<char, 2048> buffer;
  sockaddr_storage sender{};
  socklen_t length = sizeof(sender);
  const ssize_t got = recvfrom(fd.get(), buffer.data(), buffer.size(), 0,
                               reinterpret_cast<sockaddr*>(&sender), &length);
  if (got < 0) return "";
  const std::string text(buffer.data(), got);
  const std::string answer = "re: " + text;
  sendto(fd.get(), answer.data(), answer.size(), 0, reinterpret_cast<const sockaddr*>(&sender),
         length);
  return text;
}

}  // namespace ambit::redirect
