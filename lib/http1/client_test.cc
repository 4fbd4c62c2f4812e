#include "lib/http1/client.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <thread>

#include "lib/http1/test_socket.h"

namespace ambit::http1 {
namespace {

using testing::ListenAt;
using testing::TemporaryFolder;

constexpr std::chrono::milliseconds kLong{10000};

// Accepts one connection, waits for the end of a request without body, sends `answer`, closes.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer)
      : path_(folder_.File("s")), listener_(ListenAt(path_)), thread_(Serve, this, answer) {}
  ~OneAnswer() { thread_.join(); }
  const std::string& path() const { return path_; }

 private:
  static void Serve(OneAnswer* self, std::string answer) {
    UniqueFd peer(accept(self->listener_.get(), nullptr, nullptr));
    std::array<char, 4096> chunk;
    std::string request;
    while (!request.contains("\r\n\r\n")) {
      ssize_t size = ::recv(peer.get(), chunk.data(), chunk.size(), 0);
      if (size <= 0) break;
      request.append(chunk.data(), static_cast<size_t>(size));
    }
    testing::SendText(peer.get(), answer);
  }

  TemporaryFolder folder_;
  std::string path_;
  UniqueFd listener_;
  std::thread thread_;
};

ErrorCode CodeFor(std::string answer, size_t limit = 4 << 20) {
  OneAnswer server(std::move(answer));
  auto response = CallUnix(server.path(), Request{}, kLong, limit);
  EXPECT_FALSE(response.has_value());
  if (response) return ErrorCode::kCancelled;
  EXPECT_TRUE(response.error().message().contains(server.path())) << response.error().message();
  return response.error().code();
}

TEST(CallUnix, AnAnswerCarriesStatusHeadersAndBody) {
  OneAnswer server(
      "HTTP/1.1 404 Not Found\r\nX-Why: no\r\nContent-Type: text/plain\r\n"
      "Content-Length: 5\r\n\r\nhello");
  auto response = CallUnix(server.path(), Request{}, kLong);
  ASSERT_TRUE(response.has_value()) << response.error().message();
  EXPECT_EQ(response->status, 404);
  EXPECT_EQ(response->body, "hello");
  EXPECT_EQ(response->content_type, "text/plain");
  EXPECT_EQ(response->headers.at("x-why"), "no");
}

TEST(CallUnix, AChunkedBodyIsJoined) {
  OneAnswer server(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  auto response = CallUnix(server.path(), Request{}, kLong);
  ASSERT_TRUE(response.has_value()) << response.error().message();
  EXPECT_EQ(response->body, "abcde");
}

TEST(CallUnix, ABodyWithoutLengthEndsWithTheConnection) {
  OneAnswer server("HTTP/1.0 200 OK\r\n\r\nall of it");
  auto response = CallUnix(server.path(), Request{}, kLong);
  ASSERT_TRUE(response.has_value()) << response.error().message();
  EXPECT_EQ(response->body, "all of it");
}

TEST(CallUnix, NoSocketFileIsNotFound) {
  TemporaryFolder folder;
  auto response = CallUnix(folder.File("absent"), Request{}, kLong);
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().code(), ErrorCode::kNotFound);
}

TEST(CallUnix, ASocketNobodyListensOnIsUnavailable) {
  TemporaryFolder folder;
  ListenAt(folder.File("s")).Reset();
  auto response = CallUnix(folder.File("s"), Request{}, kLong);
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().code(), ErrorCode::kUnavailable);
}

TEST(CallUnix, ASilentServerEndsAtTheDeadline) {
  TemporaryFolder folder;
  UniqueFd listener = ListenAt(folder.File("s"));
  auto response = CallUnix(folder.File("s"), Request{}, std::chrono::milliseconds(20));
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().code(), ErrorCode::kTimedOut);
}

TEST(CallUnix, ARequestNobodyReadsEndsAtTheDeadline) {
  TemporaryFolder folder;
  UniqueFd listener = ListenAt(folder.File("s"));
  Request request;
  request.body.assign(8 << 20, 'x');
  auto response = CallUnix(folder.File("s"), request, std::chrono::milliseconds(20));
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().code(), ErrorCode::kTimedOut);
}

TEST(CallUnix, AFullQueueEndsAtTheDeadline) {
  TemporaryFolder folder;
  UniqueFd listener = ListenAt(folder.File("s"));
  ASSERT_EQ(listen(listener.get(), 0), 0);
  UniqueFd first = testing::ConnectTo(folder.File("s"));
  auto response = CallUnix(folder.File("s"), Request{}, std::chrono::milliseconds(20));
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().code(), ErrorCode::kTimedOut);
}

TEST(CallUnix, AReadableCancelDescriptorEndsTheWait) {
  TemporaryFolder folder;
  UniqueFd listener = ListenAt(folder.File("s"));
  UniqueFd cancel(eventfd(1, EFD_CLOEXEC));
  auto response = CallUnix(folder.File("s"), Request{}, kLong, 1 << 20, cancel.get());
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().code(), ErrorCode::kCancelled);
}

TEST(CallUnix, WhatIsNotAWholeHttpAnswerIsAProtocolError) {
  EXPECT_EQ(CodeFor("SSH-2.0-OpenSSH_9.2\r\n\r\n"), ErrorCode::kProtocol);
  EXPECT_EQ(CodeFor(""), ErrorCode::kProtocol);
  EXPECT_EQ(CodeFor("HTTP/1.1 200 OK\r\nContent-Le"), ErrorCode::kProtocol);
  EXPECT_EQ(CodeFor("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), ErrorCode::kProtocol);
  EXPECT_EQ(CodeFor("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), ErrorCode::kProtocol);
}

TEST(CallUnix, AnAnswerAboveTheLimitIsAProtocolError) {
  EXPECT_EQ(CodeFor("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world", 10),
            ErrorCode::kProtocol);
  EXPECT_EQ(CodeFor("HTTP/1.1 200 OK\r\n\r\nhello world", 10), ErrorCode::kProtocol);
  EXPECT_EQ(CodeFor("HTTP/1.1 200 OK\r\nx: " + std::string(100000, 'y') + "\r\n\r\n"),
            ErrorCode::kProtocol);
}

}  // namespace
}  // namespace ambit::http1
