// Many requests over one tunnel, ended by either side, compared byte by byte.

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <random>

#include "lib/net/socket.h"
#include "ztunnel-lite/hbone/test_tunnel.h"

namespace ambit::hbone {
namespace {

constexpr size_t kLargest = 500000;

std::string Noise(size_t size) {
  std::minstd_rand random(5);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random() >> 8);
  return bytes;
}

// Mostly small, now and then larger than a record, a frame of 16 KiB or a socket's buffer.
size_t RandomSize(std::mt19937& random) {
  const uint32_t kind = random() % 100;
  if (kind < 70) return random() % 2000;
  if (kind < 99) return random() % 40000;
  return random() % kLargest;
}

// Sends `bytes` and the end while the other side reads them.
void SendAndEnd(int from, int to, const std::string& bytes) {
  std::thread sender;
  const auto send = [&] {
    EXPECT_EQ(SendAll(from, bytes), bytes.size());
    shutdown(from, SHUT_WR);
  };
  // What surely fits into the sockets on the way needs no thread.
  if (bytes.size() > 30000) {
    sender = std::thread(send);
  } else {
    send();
  }
  const std::string got = ReceiveAll(to);
  if (sender.joinable()) sender.join();
  EXPECT_EQ(got.size(), bytes.size());
  EXPECT_EQ(std::hash<std::string>()(got), std::hash<std::string>()(bytes));
}

// Each of the four threads takes its own connections; the tunnel carries them side by side.
void Requests(TestTunnel& tunnel, std::mutex& opening, uint32_t seed, int count) {
  const std::string noise = Noise(2 * kLargest);
  std::mt19937 random(seed);
  for (int i = 0; i < count && !testing::Test::HasFailure(); ++i) {
    Result<Link> link = [&] {
      std::lock_guard lock(opening);
      return tunnel.Open();
    }();
    ASSERT_TRUE(link) << link.error().message();
    const std::string up = noise.substr(random() % kLargest, RandomSize(random));
    const std::string down = noise.substr(random() % kLargest, RandomSize(random));
    const int client = link->client_app.get(), server = link->server_app.get();
    const bool client_ends_first = random() % 2 == 0;
    if (client_ends_first) SendAndEnd(client, server, up);
    SendAndEnd(server, client, down);
    if (!client_ends_first) SendAndEnd(client, server, up);
    const RelayResult result = link->client_result.get();
    ASSERT_TRUE(result.outcome) << result.outcome.error().message();
    ASSERT_EQ(result.from_app, up.size());
    ASSERT_EQ(result.to_app, down.size());
    ASSERT_TRUE(tunnel.NextServerResult().outcome);
  }
}

TEST(TunnelLoadTest, TenThousandRequestsEndedByEitherSideArriveWhole) {
  TestTunnel tunnel;
  std::mutex opening;
  std::vector<std::thread> threads;
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    threads.emplace_back([&, seed] { Requests(tunnel, opening, seed, 2500); });
  }
  for (std::thread& thread : threads) thread.join();
  tunnel.OnClient([](ClientTunnel& client) { EXPECT_EQ(client.active_streams(), 0u); });
  tunnel.OnServer([](ServerTunnel& server) { EXPECT_EQ(server.active_streams(), 0u); });
}

}  // namespace
}  // namespace ambit::hbone
