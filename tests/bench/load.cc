// Traffic for measurements, from inside one pod to another; results as one JSON object per run.
//
//   bench-load serve PORT                                   echo on PORT, sink on +1, source on +2
//   bench-load throughput HOST PORT push|pull STREAMS SECONDS
//   bench-load exchange HOST PORT CONNECTIONS BYTES SECONDS [RATE]   RATE per second in all; 0: as
//                                                           fast as answers come
//   bench-load connect HOST PORT PARALLEL SECONDS           connect, one exchange, close, again
//   bench-load hold HOST PORT CONNECTIONS                   until standard input ends
//
// One thread. Latencies are of each exchange, in microseconds; with a RATE they count from the
// moment an exchange was due, so that a stall shows in every exchange it delayed.
#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using Work = asio::awaitable<void>;

constexpr size_t kChunk = size_t{256} << 10;
constexpr size_t kSmall = 100;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "bench-load: %s\n", why.c_str());
  std::exit(1);
}

unsigned Number(std::string_view text) {
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    Die("not a number: " + std::string(text));
  }
  return value;
}

// --- server ---

Work Echo(tcp::socket socket) {
  std::vector<char> buffer(kChunk);
  while (true) {
    auto [error, count] = co_await socket.async_read_some(asio::buffer(buffer), kAwait);
    if (error) co_return;
    auto [failed, sent] = co_await asio::async_write(socket, asio::buffer(buffer, count), kAwait);
    if (failed) co_return;
  }
}

Work Sink(tcp::socket socket) {
  std::vector<char> buffer(kChunk);
  while (true) {
    auto [error, count] = co_await socket.async_read_some(asio::buffer(buffer), kAwait);
    if (error) co_return;
  }
}

Work Source(tcp::socket socket) {
  std::vector<char> buffer(kChunk, 'x');
  while (true) {
    auto [error, count] = co_await asio::async_write(socket, asio::buffer(buffer), kAwait);
    if (error) co_return;
  }
}

Work Listen(asio::io_context& io, uint16_t port, Work (*serve)(tcp::socket)) {
  tcp::acceptor acceptor(io, {tcp::v6(), port});
  acceptor.listen(4096);
  while (true) {
    auto [error, socket] = co_await acceptor.async_accept(kAwait);
    if (error) Die("accept: " + error.message());
    socket.set_option(tcp::no_delay(true));
    asio::co_spawn(io, serve(std::move(socket)), asio::detached);
  }
}

void Serve(uint16_t port) {
  asio::io_context io(1);
  asio::co_spawn(io, Listen(io, port, Echo), asio::detached);
  asio::co_spawn(io, Listen(io, port + 1, Sink), asio::detached);
  asio::co_spawn(io, Listen(io, port + 2, Source), asio::detached);
  io.poll();
  std::printf("listening on %u\n", port);
  std::fflush(stdout);
  io.run();
}

// --- client ---

struct Run {
  asio::io_context io{1};
  tcp::endpoint server;
  Clock::time_point begin, end;
  uint64_t bytes = 0;
  uint64_t failures = 0;
  std::vector<double> latencies;  // microseconds

  bool over() const { return Clock::now() >= end; }
  void Record(Clock::time_point from) {
    latencies.push_back(std::chrono::duration<double, std::micro>(Clock::now() - from).count());
  }
};

asio::awaitable<bool> Connect(tcp::socket& socket, const tcp::endpoint& server) {
  auto [error] = co_await socket.async_connect(server, kAwait);
  if (error) co_return false;
  socket.set_option(tcp::no_delay(true));
  co_return true;
}

asio::awaitable<bool> Exchange(tcp::socket& socket, std::span<char> buffer) {
  auto memory = asio::buffer(buffer.data(), buffer.size());
  auto [unsent, sent] = co_await asio::async_write(socket, memory, kAwait);
  if (unsent) co_return false;
  auto [unread, count] = co_await asio::async_read(socket, memory, kAwait);
  co_return !unread;
}

Work Push(Run& run) {
  tcp::socket socket(run.io);
  if (!co_await Connect(socket, run.server)) Die("cannot connect");
  std::vector<char> buffer(kChunk, 'x');
  while (!run.over()) {
    auto [error, count] = co_await socket.async_write_some(asio::buffer(buffer), kAwait);
    if (error) Die("send: " + error.message());
    run.bytes += count;
  }
}

Work Pull(Run& run) {
  tcp::socket socket(run.io);
  if (!co_await Connect(socket, run.server)) Die("cannot connect");
  std::vector<char> buffer(kChunk);
  while (!run.over()) {
    auto [error, count] = co_await socket.async_read_some(asio::buffer(buffer), kAwait);
    if (error) Die("receive: " + error.message());
    run.bytes += count;
  }
}

// `interval` zero: the next exchange begins when the last one has ended.
Work ExchangeOnOne(Run& run, size_t size, Clock::duration offset, Clock::duration interval) {
  tcp::socket socket(run.io);
  if (!co_await Connect(socket, run.server)) Die("cannot connect");
  std::vector<char> buffer(size, 'x');
  asio::steady_timer timer(run.io);
  auto due = run.begin + offset;
  while (!run.over()) {
    if (interval != Clock::duration::zero()) {
      timer.expires_at(due);
      co_await timer.async_wait(kAwait);
    } else {
      due = Clock::now();
    }
    if (!co_await Exchange(socket, buffer)) Die("an exchange failed");
    run.Record(due);
    due += interval;
  }
}

Work ConnectAgain(Run& run) {
  std::vector<char> buffer(kSmall, 'x');
  while (!run.over()) {
    auto from = Clock::now();
    tcp::socket socket(run.io);
    if (co_await Connect(socket, run.server) && co_await Exchange(socket, buffer)) {
      run.Record(from);
    } else {
      ++run.failures;
    }
  }
}

Work HoldOne(Run& run, unsigned& open) {
  tcp::socket socket(run.io);
  char byte[1] = {'x'};
  if (!co_await Connect(socket, run.server) || !co_await Exchange(socket, byte)) {
    Die("connection " + std::to_string(open) + " failed");
  }
  ++open;
  co_await socket.async_read_some(asio::buffer(byte), kAwait);
}

Work HoldAll(Run& run, unsigned count) {
  unsigned open = 0;
  for (unsigned i = 0; i < count; ++i) {
    asio::co_spawn(run.io, HoldOne(run, open), asio::detached);
    asio::steady_timer pause(run.io, std::chrono::microseconds(200));
    co_await pause.async_wait(kAwait);
  }
  asio::steady_timer pause(run.io);
  while (open < count) {
    pause.expires_after(std::chrono::milliseconds(1));
    co_await pause.async_wait(kAwait);
  }
  std::printf("holding %u\n", count);
  std::fflush(stdout);
  asio::posix::stream_descriptor input(run.io, 0);
  char byte[1];
  co_await input.async_read_some(asio::buffer(byte), kAwait);
  run.io.stop();
}

double Percentile(std::vector<double>& sorted, double part) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<size_t>(part * static_cast<double>(sorted.size() - 1))];
}

void Report(Run& run) {
  double seconds = std::chrono::duration<double>(Clock::now() - run.begin).count();
  std::sort(run.latencies.begin(), run.latencies.end());
  std::printf(
      "{\"seconds\": %.4f, \"bytes\": %llu, \"exchanges\": %zu, \"failures\": %llu, "
      "\"p50_us\": %.1f, \"p99_us\": %.1f}\n",
      seconds, static_cast<unsigned long long>(run.bytes), run.latencies.size(),
      static_cast<unsigned long long>(run.failures), Percentile(run.latencies, 0.5),
      Percentile(run.latencies, 0.99));
}

void StartClock(Run& run, unsigned seconds) {
  run.begin = Clock::now();
  run.end = run.begin + std::chrono::seconds(seconds);
}

void Throughput(Run& run, bool push, unsigned streams) {
  run.server.port(run.server.port() + (push ? 1 : 2));
  for (unsigned i = 0; i < streams; ++i) {
    asio::co_spawn(run.io, push ? Push(run) : Pull(run), asio::detached);
  }
  run.io.run();
}

void Exchanges(Run& run, unsigned connections, unsigned size, unsigned rate) {
  using std::chrono::nanoseconds;
  auto interval = nanoseconds(rate == 0 ? 0 : 1'000'000'000ULL * connections / rate);
  for (unsigned i = 0; i < connections; ++i) {
    asio::co_spawn(run.io, ExchangeOnOne(run, size, interval * i / connections, interval),
                   asio::detached);
  }
  run.io.run();
}

int Main(const std::vector<std::string>& words) {
  if (words.size() == 2 && words[0] == "serve") {
    Serve(static_cast<uint16_t>(Number(words[1])));
    return 0;
  }
  if (words.size() < 4) return 2;
  Run run;
  run.server = {asio::ip::make_address(words[1]), static_cast<uint16_t>(Number(words[2]))};
  if (words[0] == "hold" && words.size() == 4) {
    asio::co_spawn(run.io, HoldAll(run, Number(words[3])), asio::detached);
    run.io.run();
    return 0;
  }
  if (words[0] == "throughput" && words.size() == 6) {
    StartClock(run, Number(words[5]));
    Throughput(run, words[3] == "push", Number(words[4]));
  } else if (words[0] == "exchange" && (words.size() == 6 || words.size() == 7)) {
    StartClock(run, Number(words[5]));
    Exchanges(run, Number(words[3]), Number(words[4]), words.size() == 7 ? Number(words[6]) : 0);
  } else if (words[0] == "connect" && words.size() == 5) {
    StartClock(run, Number(words[4]));
    for (unsigned i = 0; i < Number(words[3]); ++i) {
      asio::co_spawn(run.io, ConnectAgain(run), asio::detached);
    }
    run.io.run();
  } else {
    return 2;
  }
  Report(run);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    int status = Main({argv + 1, argv + argc});
    if (status == 2) std::fputs("bench-load: see the top of tests/bench/load.cc\n", stderr);
    return status;
  } catch (const std::exception& error) {
    Die(error.what());
  }
}
