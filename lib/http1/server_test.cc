#include "lib/http1/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <thread>

#include "lib/http1/client.h"
#include "lib/http1/test_socket.h"
#include "lib/net/socket.h"

namespace ambit::http1 {
namespace {

namespace asio = boost::asio;
using testing::ConnectTo;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using testing::ReadToEnd;
using testing::SendText;
using ::testing::StartsWith;
using testing::TemporaryFolder;

constexpr std::chrono::milliseconds kLong{10000};

asio::awaitable<Response> Echo(Request request) {
  Response response;
  response.headers["X-Seen"] = request.method + " " + request.target;
  response.body = std::move(request.body);
  co_return response;
}

asio::awaitable<Response> Never(Request) {
  asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
  co_await timer.async_wait(asio::use_awaitable);
  co_return Response{};
}

asio::awaitable<Response> Throws(Request) {
  throw std::bad_alloc();
  co_return Response{};
}

asio::awaitable<Response> TellUid(Request request) {
  Response response;
  response.body = std::to_string(request.peer.uid);
  co_return response;
}

// A server on its own thread; the test is the client.
class ServerTest : public ::testing::Test {
 protected:
  ServerTest() : path_(folder_.File("agent.sock")), thread_([this] { io_.run(); }) {}
  ~ServerTest() override {
    OnLoop([this] { server_.reset(); });
    work_.reset();
    thread_.join();
  }

  void OnLoop(const std::function<void()>& work) {
    std::packaged_task<void()> task(work);
    auto done = task.get_future();
    asio::post(io_, std::move(task));
    done.get();
  }

  void StartUnix(Handler handler, Limits limits = {}) {
    OnLoop([&] {
      auto server = Server::ListenUnix(io_, path_, limits, std::move(handler));
      ASSERT_TRUE(server.has_value()) << server.error().message();
      server_ = std::move(*server);
    });
  }

  Result<Response> Call(std::string method, std::string body = "") {
    Request request;
    request.method = std::move(method);
    request.target = "/cmdadd?x=1";
    request.body = std::move(body);
    return CallUnix(path_, request, kLong);
  }

  // The whole conversation over one connection, which the client ends for writing.
  std::string Say(std::string_view text) {
    UniqueFd socket = ConnectTo(path_);
    SendText(socket.get(), text);
    shutdown(socket.get(), SHUT_WR);
    return ReadToEnd(socket.get());
  }

  TemporaryFolder folder_;
  std::string path_;
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

TEST_F(ServerTest, ARequestReachesTheHandlerAndItsAnswerTheClient) {
  StartUnix(Echo);
  auto response = Call("POST", "{\"a\":1}");
  ASSERT_TRUE(response.has_value()) << response.error().message();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "{\"a\":1}");
  EXPECT_EQ(response->headers.at("x-seen"), "POST /cmdadd?x=1");
}

TEST_F(ServerTest, TcpServesOnThePortTheKernelChose) {
  OnLoop([&] {
    auto server = Server::ListenTcp(io_, *net::Endpoint::Parse("127.0.0.1:0"), {}, Echo);
    ASSERT_TRUE(server.has_value()) << server.error().message();
    server_ = std::move(*server);
  });
  ASSERT_NE(server_->local_endpoint().port, 0);
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  net::SocketAddress address = net::ToSocketAddress(server_->local_endpoint());
  ASSERT_EQ(connect(socket.get(), address.get(), address.length), 0);
  SendText(socket.get(), "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(ReadToEnd(socket.get()), HasSubstr("X-Seen: GET /metrics\r\n"));
}

TEST_F(ServerTest, SeveralRequestsUseOneConnection) {
  StartUnix(Echo);
  std::string answers =
      Say("POST /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\none"
          "POST /2 HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\ntwo");
  EXPECT_THAT(answers, HasSubstr("X-Seen: POST /1"));
  EXPECT_THAT(answers, HasSubstr("X-Seen: POST /2"));
  EXPECT_THAT(answers, EndsWith("\r\n\r\ntwo"));
}

TEST_F(ServerTest, AClientThatHasEndedItsSideStillGetsItsAnswer) {
  StartUnix(Echo);
  EXPECT_THAT(Say("GET / HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(ServerTest, HeadGetsTheLengthWithoutTheBody) {
  StartUnix(TellUid);
  std::string answer = Say("HEAD / HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer,
              HasSubstr("Content-Length: " + std::to_string(std::to_string(geteuid()).size())));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(ServerTest, AnHttp10ConnectionEndsAfterItsAnswer) {
  StartUnix(Echo);
  UniqueFd socket = ConnectTo(path_);
  SendText(socket.get(), "GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(ReadToEnd(socket.get()), HasSubstr("Connection: close\r\n"));
}

TEST_F(ServerTest, TheHandlerSeesWhoConnected) {
  StartUnix(TellUid);
  auto response = Call("GET");
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->body, std::to_string(geteuid()));
}

TEST_F(ServerTest, AnotherUserIsRefused) {
  StartUnix(Echo);
  ASSERT_EQ(chmod(path_.c_str(), 0666), 0);
  ASSERT_EQ(chmod(std::filesystem::path(path_).parent_path().c_str(), 0755), 0);
  pid_t child = fork();
  if (child == 0) {
    if (setuid(65534) != 0) _exit(2);
    UniqueFd socket = ConnectTo(path_);
    if (!socket.valid()) _exit(3);
    SendText(socket.get(), "GET / HTTP/1.1\r\n\r\n");
    _exit(ReadToEnd(socket.get()).empty() ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(Call("GET").has_value());
}

TEST_F(ServerTest, ABodyAboveTheLimitIs413) {
  StartUnix(Echo, {.max_body_bytes = 10});
  auto response = Call("POST", std::string(11, 'x'));
  ASSERT_TRUE(response.has_value()) << response.error().message();
  EXPECT_EQ(response->status, 413);
}

TEST_F(ServerTest, AHugeBodyIs413BeforeItWasRead) {
  StartUnix(Echo);
  auto response = Call("POST", std::string(6 << 20, 'x'));
  ASSERT_TRUE(response.has_value()) << response.error().message();
  EXPECT_EQ(response->status, 413);
}

TEST_F(ServerTest, AChunkedBodyAboveTheLimitIs413) {
  StartUnix(Echo, {.max_body_bytes = 4});
  EXPECT_THAT(Say("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
}

TEST_F(ServerTest, AHeaderAboveTheLimitIs431) {
  StartUnix(Echo, {.max_header_bytes = 256});
  EXPECT_THAT(Say("GET / HTTP/1.1\r\nx: " + std::string(400, 'y') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(ServerTest, GarbageIs400) {
  StartUnix(Echo);
  for (std::string_view garbage :
       {"\x16\x03\x01\x02\x01\x01\xfc\r\n\r\n", "GET\r\n\r\n", "GET / SMTP/9\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    EXPECT_THAT(Say(garbage), StartsWith("HTTP/1.1 400 ")) << garbage;
  }
}

TEST_F(ServerTest, AHalfRequestThatEndsIs400) {
  StartUnix(Echo);
  EXPECT_THAT(Say("GET / HT"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Say("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(ServerTest, AConnectionWithoutARequestEndsSilently) {
  StartUnix(Echo, {.header_timeout = std::chrono::milliseconds(30)});
  EXPECT_EQ(Say(""), "");
  UniqueFd silent = ConnectTo(path_);
  EXPECT_EQ(ReadToEnd(silent.get()), "");
}

TEST_F(ServerTest, ASlowHeaderIs408) {
  StartUnix(Echo, {.header_timeout = std::chrono::milliseconds(500)});
  UniqueFd socket = ConnectTo(path_);
  SendText(socket.get(), "GET / HTTP/1.1\r\nHo");
  EXPECT_THAT(ReadToEnd(socket.get()), StartsWith("HTTP/1.1 408 "));
}

TEST_F(ServerTest, ASlowBodyIs408) {
  StartUnix(Echo, {.header_timeout = kLong, .request_timeout = std::chrono::milliseconds(30)});
  UniqueFd socket = ConnectTo(path_);
  SendText(socket.get(), "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf");
  EXPECT_THAT(ReadToEnd(socket.get()), StartsWith("HTTP/1.1 408 "));
}

TEST_F(ServerTest, AHandlerThatTakesTooLongIs503) {
  StartUnix(Never, {.request_timeout = std::chrono::milliseconds(30)});
  auto response = Call("GET");
  ASSERT_TRUE(response.has_value()) << response.error().message();
  EXPECT_EQ(response->status, 503);
  EXPECT_THAT(response->body, HasSubstr("30 ms"));
}

TEST_F(ServerTest, AnExceptionInTheHandlerIs500AndTheServerGoesOn) {
  StartUnix(Throws);
  for (int i = 0; i < 2; ++i) {
    auto response = Call("GET");
    ASSERT_TRUE(response.has_value()) << response.error().message();
    EXPECT_EQ(response->status, 500);
  }
}

TEST_F(ServerTest, ASlowClientDoesNotHoldOthersUp) {
  StartUnix(Echo);
  UniqueFd slow = ConnectTo(path_);
  SendText(slow.get(), "POST / HT");
  std::vector<std::thread> clients;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 32; ++i) {
    clients.emplace_back([&, i] {
      std::string body(static_cast<size_t>(i) * 10000, 'x');
      auto response = Call("POST", body);
      if (response && response->body == body) ++answered;
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(answered, 32);
}

TEST_F(ServerTest, AConnectionAboveTheLimitIs503) {
  StartUnix(Echo, {.max_connections = 1});
  UniqueFd first = ConnectTo(path_);
  SendText(first.get(), "GET /1 HTTP/1.1\r\n\r\n");
  std::array<char, 4096> chunk;
  ASSERT_GT(recv(first.get(), chunk.data(), chunk.size(), 0), 0);
  UniqueFd second = ConnectTo(path_);
  EXPECT_THAT(ReadToEnd(second.get()), StartsWith("HTTP/1.1 503 "));
}

// Answers when the test says so.
class Gate {
 public:
  asio::awaitable<Response> Handle(Request) {
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
    waiting_ = &timer;
    entered_.set_value();
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return Response{};
  }
  void AwaitEntry() { entered_.get_future().get(); }
  void Open() { waiting_->cancel(); }

 private:
  std::promise<void> entered_;
  asio::steady_timer* waiting_ = nullptr;
};

TEST_F(ServerTest, StopAnswersWhatRunsAndClosesWhatIsIdle) {
  Gate gate;
  StartUnix([&gate](Request request) { return gate.Handle(std::move(request)); });
  UniqueFd idle = ConnectTo(path_);
  UniqueFd busy = ConnectTo(path_);
  SendText(busy.get(), "GET / HTTP/1.1\r\n\r\n");
  gate.AwaitEntry();
  OnLoop([&] { server_->Stop(); });
  EXPECT_EQ(ReadToEnd(idle.get()), "");
  EXPECT_FALSE(ConnectTo(path_).valid());
  OnLoop([&] { gate.Open(); });
  std::string answer = ReadToEnd(busy.get());
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
}

TEST_F(ServerTest, DestructionCancelsTheHandlerThatRuns) {
  StartUnix(Never);
  UniqueFd busy = ConnectTo(path_);
  SendText(busy.get(), "GET / HTTP/1.1\r\n\r\n");
  OnLoop([&] { server_.reset(); });
  EXPECT_EQ(ReadToEnd(busy.get()), "");
  EXPECT_FALSE(std::filesystem::exists(path_));
}

// Answers in a later turn of the loop, which pauses before the connection hears of it.
asio::awaitable<Response> AnswerInAPause(asio::io_context& io) {
  co_await asio::post(io, asio::use_awaitable);
  io.stop();
  co_return Response{};
}

// A cancellation that is sent while the loop pauses waits in its queue, behind the end of what it
// is to cancel.
TEST(ServerWithoutAThread, DestructionBetweenAnAnswerAndItsWriteIsHarmless) {
  TemporaryFolder folder;
  asio::io_context io;
  auto server = Server::ListenUnix(io, folder.File("s"), {},
                                   [&io](const Request&) { return AnswerInAPause(io); });
  ASSERT_TRUE(server.has_value()) << server.error().message();
  UniqueFd client = ConnectTo(folder.File("s"));
  SendText(client.get(), "GET / HTTP/1.1\r\n\r\n");
  io.run();
  server->reset();
  io.restart();
  io.run();
  EXPECT_EQ(ReadToEnd(client.get()), "");
}

TEST_F(ServerTest, TheSocketOfASuccessorSurvives) {
  StartUnix(Echo);
  ASSERT_EQ(unlink(path_.c_str()), 0);
  UniqueFd successor = testing::ListenAt(path_);
  OnLoop([&] { server_->Stop(); });
  EXPECT_TRUE(ConnectTo(path_).valid());
}

}  // namespace
}  // namespace ambit::http1
