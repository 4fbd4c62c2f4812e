// What one tunnel pair costs: two workers, each on a thread of its own, loopback between them.
// Usage: hbone_bench [gigabytes]

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "ztunnel-lite/hbone/test_tunnel.h"

namespace ambit::hbone {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

double WorkerSeconds(TestTunnel& tunnel) {
  return Seconds(tunnel.client_thread().CpuTime() + tunnel.server_thread().CpuTime()).count();
}

void Throughput(TestTunnel& tunnel, size_t streams, size_t total_bytes) {
  std::vector<Link> links;
  for (size_t i = 0; i < streams; ++i) links.push_back(std::move(*tunnel.Open()));
  const double cpu = WorkerSeconds(tunnel);
  const auto start = Clock::now();
  std::vector<std::thread> threads;
  for (Link& link : links) {
    threads.emplace_back([&link, bytes = total_bytes / streams] {
      const std::string block(128 << 10, 'x');
      for (size_t sent = 0; sent < bytes; sent += block.size()) {
        SendAll(link.client_app.get(), block);
      }
      shutdown(link.client_app.get(), SHUT_WR);
    });
    threads.emplace_back([&link] {
      std::vector<char> buffer(1 << 20);
      while (recv(link.server_app.get(), buffer.data(), buffer.size(), 0) > 0) {
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = Seconds(Clock::now() - start).count();
  const double gigabytes = static_cast<double>(total_bytes) / 1e9;
  std::printf("%2zu stream(s)   %6.2f Gbit/s   %5.2f CPU-s per GB, both workers\n", streams,
              gigabytes * 8 / seconds, (WorkerSeconds(tunnel) - cpu) / gigabytes);
}

void Percentiles(const char* name, std::vector<double>& micros, double cpu_micros) {
  std::ranges::sort(micros);
  std::printf("%-14s p50 %6.1f us   p99 %6.1f us   %6.1f us CPU each, both workers\n", name,
              micros[micros.size() / 2], micros[micros.size() * 99 / 100], cpu_micros);
}

void PingPong(TestTunnel& tunnel, int count) {
  Link link = std::move(*tunnel.Open());
  std::thread echo([&link] {
    for (std::string got; !(got = ReceiveExactly(link.server_app.get(), 100)).empty();) {
      SendAll(link.server_app.get(), got);
    }
  });
  std::vector<double> micros;
  const std::string message(100, 'p');
  const double cpu = WorkerSeconds(tunnel);
  for (int i = 0; i < count; ++i) {
    const auto start = Clock::now();
    SendAll(link.client_app.get(), message);
    ReceiveExactly(link.client_app.get(), message.size());
    micros.push_back(Seconds(Clock::now() - start).count() * 1e6);
  }
  const double used = (WorkerSeconds(tunnel) - cpu) * 1e6 / count;
  shutdown(link.client_app.get(), SHUT_WR);
  echo.join();
  Percentiles("ping-pong", micros, used);
}

void Connects(TestTunnel& tunnel, int count) {
  std::vector<double> micros;
  const double cpu = WorkerSeconds(tunnel);
  for (int i = 0; i < count; ++i) {
    const auto start = Clock::now();
    Link link = std::move(*tunnel.Open());
    SendAll(link.client_app.get(), "x");
    ReceiveExactly(link.server_app.get(), 1);
    micros.push_back(Seconds(Clock::now() - start).count() * 1e6);
  }
  Percentiles("connect", micros, (WorkerSeconds(tunnel) - cpu) * 1e6 / count);
}

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

void Idle(TestTunnel& tunnel, size_t count) {
  std::vector<Link> links;
  links.reserve(count);
  for (int i = 0; i < 20; ++i) links.push_back(std::move(*tunnel.Open()));
  const size_t before = ResidentBytes();
  for (size_t i = 0; i < count; ++i) {
    links.push_back(std::move(*tunnel.Open()));
    SendAll(links.back().client_app.get(), "x");
    ReceiveExactly(links.back().server_app.get(), 1);
  }
  std::printf("idle           %.2f KiB per connection, both ends and the test's share\n",
              static_cast<double>(ResidentBytes() - before) / static_cast<double>(count) / 1024);
}

int Main(int argc, char** argv) {
  const size_t bytes = (argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10) * 1000000000;
  Settings server;
  server.max_concurrent_streams = 4000;
  TestTunnel tunnel({}, server);
  Idle(tunnel, 3000);
  Throughput(tunnel, 1, bytes);
  Throughput(tunnel, 8, bytes);
  PingPong(tunnel, 20000);
  Connects(tunnel, 3000);
  return 0;
}

}  // namespace
}  // namespace ambit::hbone

int main(int argc, char** argv) { return ambit::hbone::Main(argc, argv); }
