#include "ztunnel-lite/proxy/wait.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <optional>
#include <thread>

namespace ambit::proxy {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

// A stream socket whose send buffer is full, and the other end.
std::array<UniqueFd, 2> FullSocket() {
  int fds[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  char block[4096] = {};
  while (send(fds[0], block, sizeof(block), 0) > 0) {
  }
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

asio::awaitable<void> WaitInto(asio::io_context& io, UniqueFd fd, milliseconds timeout,
                               Interrupt& interrupt, std::optional<Result<UniqueFd>>& result) {
  result = co_await WaitWritable(io, std::move(fd), timeout, interrupt);
}

TEST(WaitWritable, GivesTheSocketBackWhenItIsWritable) {
  asio::io_context io;
  Interrupt interrupt;
  std::optional<Result<UniqueFd>> result;
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  UniqueFd other(fds[1]);
  asio::co_spawn(io, WaitInto(io, UniqueFd(fds[0]), milliseconds(60000), interrupt, result),
                 asio::detached);
  io.run();
  ASSERT_TRUE(result && *result);
  EXPECT_EQ((*result)->get(), fds[0]);
  EXPECT_EQ(send((*result)->get(), "x", 1, 0), 1);
}

TEST(WaitWritable, EndsAtItsDeadline) {
  asio::io_context io;
  Interrupt interrupt;
  std::optional<Result<UniqueFd>> result;
  auto sockets = FullSocket();
  asio::co_spawn(io, WaitInto(io, std::move(sockets[0]), milliseconds(10), interrupt, result),
                 asio::detached);
  io.run();
  ASSERT_TRUE(result && !*result);
  EXPECT_EQ(result->error().code(), ErrorCode::kTimedOut);
}

TEST(WaitWritable, EndsWhenInterrupted) {
  asio::io_context io;
  Interrupt interrupt;
  std::optional<Result<UniqueFd>> result;
  auto sockets = FullSocket();
  asio::co_spawn(io, WaitInto(io, std::move(sockets[0]), milliseconds(60000), interrupt, result),
                 asio::detached);
  io.poll();
  EXPECT_FALSE(result);
  interrupt.Fire();
  io.run();
  ASSERT_TRUE(result && !*result);
  EXPECT_EQ(result->error().code(), ErrorCode::kCancelled);
}

asio::awaitable<void> WatchInto(std::shared_ptr<ChangeSignal> signal, Interrupt& interrupt,
                                int& looks) {
  ChangeSignal::Watch watch(*signal);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  for (looks = 1; looks < 3; ++looks) co_await watch.Wait(deadline, interrupt);
}

TEST(ChangeSignal, AChangeOnAnotherThreadWakesEveryWatcher) {
  asio::io_context io;
  Interrupt interrupt;
  auto signal = std::make_shared<ChangeSignal>(io);
  int first = 0, second = 0;
  asio::co_spawn(io, WatchInto(signal, interrupt, first), asio::detached);
  asio::co_spawn(io, WatchInto(signal, interrupt, second), asio::detached);
  io.poll();
  EXPECT_EQ(first, 1);
  std::thread([&signal] { ChangeSignal::Raise(signal); }).join();
  io.restart();
  io.poll();
  EXPECT_EQ(first, 2);
  EXPECT_EQ(second, 2);
  ChangeSignal::Raise(signal);
  io.restart();
  io.run();
  EXPECT_EQ(first, 3);
}

TEST(ChangeSignal, WithoutWatchersAChangeCostsNoTurnOfTheLoop) {
  asio::io_context io;
  auto signal = std::make_shared<ChangeSignal>(io);
  ChangeSignal::Raise(signal);
  EXPECT_EQ(io.poll(), 0u);
}

}  // namespace
}  // namespace ambit::proxy
