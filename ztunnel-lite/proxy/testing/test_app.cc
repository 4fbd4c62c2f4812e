#include "ztunnel-lite/proxy/testing/test_app.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <map>

#include "lib/net/netns.h"
#include "lib/net/socket.h"

namespace ambit::proxy::testing {
namespace {

constexpr int kPatienceMs = 30000;

bool WaitFor(int fd, short events, int milliseconds) {
  pollfd entry{.fd = fd, .events = events, .revents = 0};
  return poll(&entry, 1, milliseconds) == 1;
}

std::string PayloadOf(int index, size_t bytes) {
  std::string text = "client " + std::to_string(index) + " ";
  while (text.size() < bytes) text += text.substr(0, bytes - text.size());
  return text.substr(0, bytes);
}

}  // namespace

AppSocket::AppSocket(UniqueFd fd) : fd_(std::move(fd)) {
  if (fd_.valid()) fcntl(fd_.get(), F_SETFL, fcntl(fd_.get(), F_GETFL) | O_NONBLOCK);
}

bool AppSocket::Send(std::string_view text) {
  while (!text.empty()) {
    ssize_t sent = send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      text.remove_prefix(static_cast<size_t>(sent));
    } else if (errno == ECONNRESET || errno == EPIPE) {
      was_reset_ = true;
      return false;
    } else if (errno != EAGAIN || !WaitFor(fd_.get(), POLLOUT, kPatienceMs)) {
      return false;
    }
  }
  return true;
}

std::string AppSocket::Receive(size_t limit) {
  if (was_reset_ || !fd_.valid()) return "<reset>";
  std::string text(limit, '\0');
  if (!WaitFor(fd_.get(), POLLIN, kPatienceMs)) return "<timeout>";
  ssize_t got = recv(fd_.get(), text.data(), text.size(), 0);
  if (got < 0) return errno == ECONNRESET ? "<reset>" : "<error " + std::to_string(errno) + ">";
  text.resize(static_cast<size_t>(got));
  return text;
}

std::string AppSocket::ReceiveAll(size_t bytes) {
  std::string all;
  while (all.size() < bytes) {
    std::string next = Receive(bytes - all.size());
    if (next.empty() || next.front() == '<') return all + next;
    all += next;
  }
  return all;
}

void AppSocket::EndSending() { shutdown(fd_.get(), SHUT_WR); }

void AppSocket::Reset() {
  (void)net::SetResetOnClose(fd_.get());
  fd_.Reset();
}

bool ListensOn(const UniqueFd& netns, uint16_t port) {
  // proc(5): local address:port in hexadecimal, remote address:port, state; 0A is TCP_LISTEN.
  char wanted[8];
  std::snprintf(wanted, sizeof(wanted), ":%04X", port);
  auto listed = net::InNetns(netns.get(), [&]() -> Result<bool> {
    for (const char* path : {"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"}) {
      std::ifstream file(path);
      std::string number, local, remote, state, rest;
      while (file >> number >> local >> remote >> state && std::getline(file, rest)) {
        if (local.ends_with(wanted) && state == "0A") return true;
      }
    }
    return false;
  });
  EXPECT_TRUE(listed);
  return listed && *listed;
}

AppSocket ConnectFrom(const UniqueFd& netns, const net::Endpoint& to) {
  auto made = net::InNetns(netns.get(), [&] { return net::MakeTcpSocket(to.address.family()); });
  if (!made || !net::StartConnect(made->get(), to)) return {};
  if (!WaitFor(made->get(), POLLOUT, kPatienceMs) || !net::SocketError(made->get())) return {};
  return AppSocket(std::move(*made));
}

AppListener::AppListener(const UniqueFd& netns, const net::Endpoint& at) {
  auto made = net::InNetns(netns.get(), [&] { return net::ListenTcp(at, {.backlog = 4096}); });
  EXPECT_TRUE(made) << made.error().message();
  if (made) fd_ = std::move(*made);
}

bool AppListener::HasConnection(std::chrono::milliseconds time) {
  return WaitFor(fd_.get(), POLLIN, static_cast<int>(time.count()));
}

AppListener::Accepted AppListener::Accept() {
  if (!WaitFor(fd_.get(), POLLIN, kPatienceMs)) return {};
  net::SocketAddress peer;
  UniqueFd fd(accept4(fd_.get(), peer.get(), &peer.length, SOCK_CLOEXEC));
  return {AppSocket(std::move(fd)), net::FromSocketAddress(peer).value()};
}

EchoApp::EchoApp(const UniqueFd& netns, const net::Endpoint& at) : wake_(eventfd(0, EFD_CLOEXEC)) {
  auto made = net::InNetns(netns.get(), [&] { return net::ListenTcp(at, {.backlog = 4096}); });
  EXPECT_TRUE(made) << made.error().message();
  listener_ = std::move(*made);
  thread_ = std::jthread([this](std::stop_token stop) { Run(std::move(stop)); });
}

EchoApp::~EchoApp() {
  thread_.request_stop();
  uint64_t one = 1;
  EXPECT_EQ(write(wake_.get(), &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
}

void EchoApp::Run(std::stop_token stop) {
  UniqueFd poller(epoll_create1(EPOLL_CLOEXEC));
  auto watch = [&poller](int fd) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    epoll_ctl(poller.get(), EPOLL_CTL_ADD, fd, &event);
  };
  watch(listener_.get());
  watch(wake_.get());
  std::map<int, AppSocket> open;
  while (!stop.stop_requested()) {
    epoll_event event{};
    if (epoll_wait(poller.get(), &event, 1, -1) != 1 || event.data.fd == wake_.get()) continue;
    if (event.data.fd == listener_.get()) {
      UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd.valid()) continue;
      int number = fd.get();
      open.emplace(number, AppSocket(std::move(fd)));
      watch(number);
      continue;
    }
    std::string text = open.at(event.data.fd).Receive();
    if (text.empty() || text.front() == '<' || !open.at(event.data.fd).Send(text)) {
      open.erase(event.data.fd);
    }
  }
}

int RunClients(const UniqueFd& netns, const net::Endpoint& to, int count, size_t bytes) {
  std::vector<AppSocket> sockets;
  for (int i = 0; i < count; ++i) {
    auto made = net::InNetns(netns.get(), [&] { return net::MakeTcpSocket(to.address.family()); });
    if (!made || !net::StartConnect(made->get(), to)) return -1;
    sockets.emplace_back(std::move(*made));
  }
  for (int i = 0; i < count; ++i) {
    if (!WaitFor(sockets[i].get(), POLLOUT, kPatienceMs)) return -2;
    if (!sockets[i].Send(PayloadOf(i, bytes))) return -3;
  }
  int good = 0;
  for (int i = 0; i < count; ++i) {
    std::string got = sockets[i].ReceiveAll(bytes);
    if (got == PayloadOf(i, bytes)) {
      ++good;
    } else {
      ADD_FAILURE() << "client " << i << " got " << got.size() << " bytes, at the end "
                    << got.substr(got.size() - std::min<size_t>(got.size(), 20));
    }
  }
  return good;
}

}  // namespace ambit::proxy::testing
