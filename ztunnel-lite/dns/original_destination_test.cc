#include "ztunnel-lite/dns/original_destination.h"

#include <gtest/gtest.h>
#include <linux/netlink.h>

#include <array>
#include <cstring>

#include "lib/net/socket.h"
#include "node-agent/redirect/testing/captured_pod.h"

namespace ambit::dns {
namespace {

net::Endpoint At(const std::string& text) { return net::Endpoint::Parse(text).value(); }

// One datagram of a captured app and who it comes from.
struct Datagram {
  std::string text;
  net::Endpoint client;
};
Datagram Take(const UniqueFd& socket) {
  if (!redirect::Readable(socket, std::chrono::seconds(5))) return {};
  std::array<char, 512> buffer;
  net::SocketAddress from;
  const ssize_t got =
      recvfrom(socket.get(), buffer.data(), buffer.size(), 0, from.get(), &from.length);
  if (got < 0) return {};
  return {std::string(buffer.data(), static_cast<size_t>(got)),
          net::FromSocketAddress(from).value()};
}

void SendTo(const UniqueFd& socket, const net::Endpoint& to, const std::string& text) {
  const auto address = net::ToSocketAddress(to);
  EXPECT_EQ(sendto(socket.get(), text.data(), text.size(), 0, address.get(), address.length),
            static_cast<ssize_t>(text.size()));
}

class OriginalDestination : public redirect::CapturedPod {
 protected:
  OriginalDestination() {
    Apply({.dns_capture = true});
    proxy_ = redirect::BindUdp(pod(), proxy_at_);
  }

  net::Endpoint Resolver(int number) const {
    const std::string last = std::to_string(number);
    return {Ip(("10.96.0." + last).c_str(), ("fd77:96::" + last).c_str()), 53};
  }

  net::Endpoint proxy_at_{Loopback(), 15053};
  UniqueFd proxy_;
  FlowTable flows_ = pod().In([] { return FlowTable::Open(); }).value();
};

TEST_P(OriginalDestination, OfACapturedQuestionIsTheResolverAsked) {
  const UniqueFd app = redirect::ConnectUdp(pod(), Resolver(10));
  redirect::Write(app, "question");
  const Datagram datagram = Take(proxy_);
  EXPECT_EQ(datagram.text, "question");
  auto asked = flows_.OriginalDestination(proxy_at_, datagram.client);
  ASSERT_TRUE(asked) << asked.error().message();
  EXPECT_EQ(*asked, Resolver(10));
}

// As musl asks: the same question to all servers at once from one socket.
TEST_P(OriginalDestination, OfOneSocketsQuestionsToTwoResolversAreTwo) {
  const UniqueFd app = redirect::BindUdp(pod(), {net::IpAddress::Any(GetParam()), 0});
  SendTo(app, Resolver(10), "first");
  SendTo(app, Resolver(11), "second");
  for (int number : {10, 11}) {
    const Datagram datagram = Take(proxy_);
    ASSERT_EQ(datagram.text, number == 10 ? "first" : "second");
    auto asked = flows_.OriginalDestination(proxy_at_, datagram.client);
    ASSERT_TRUE(asked) << asked.error().message();
    EXPECT_EQ(*asked, Resolver(number));
    SendTo(proxy_, datagram.client, "re: " + datagram.text);
  }
  EXPECT_EQ(redirect::Read(app), "re: first");
  EXPECT_EQ(redirect::Read(app), "re: second");
}

TEST_P(OriginalDestination, FollowsAClientThatUsesItsPortAgain) {
  uint16_t port = 0;
  for (int number : {10, 11}) {
    const UniqueFd app = redirect::BindUdp(pod(), {net::IpAddress::Any(GetParam()), port});
    port = net::LocalEndpoint(app.get())->port;
    SendTo(app, Resolver(number), "question");
    auto asked = flows_.OriginalDestination(proxy_at_, Take(proxy_).client);
    ASSERT_TRUE(asked) << asked.error().message();
    EXPECT_EQ(*asked, Resolver(number));
  }
}

TEST_P(OriginalDestination, IsNotFoundForAQuestionToTheProxyItself) {
  const UniqueFd app = redirect::ConnectUdp(pod(), proxy_at_);
  redirect::Write(app, "question");
  auto asked = flows_.OriginalDestination(proxy_at_, Take(proxy_).client);
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code(), ErrorCode::kNotFound);
}

TEST_P(OriginalDestination, IsNotFoundForAClientThatNeverAsked) {
  auto asked = flows_.OriginalDestination(proxy_at_, {PodIp(), 4242});
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code(), ErrorCode::kNotFound);
}

INSTANTIATE_TEST_SUITE_P(Families, OriginalDestination,
                         ::testing::Values(net::Family::kIpv4, net::Family::kIpv6),
                         redirect::FamilyName);

TEST(DecodeFlow, RefusesWhatIsNotTheAnswer) {
  const Bytes request = EncodeFlowRequest(At("127.0.0.1:15053"), At("10.0.0.1:4242"), 7);
  EXPECT_FALSE(DecodeFlow({}, 7));
  EXPECT_FALSE(DecodeFlow(request, 7)) << "a question is no answer";
  Bytes answer = request;
  answer[sizeof(uint32_t)] = std::byte(0);  // IPCTNL_MSG_CT_NEW
  EXPECT_FALSE(DecodeFlow(answer, 8)) << "another number";
  EXPECT_FALSE(DecodeFlow(answer, 7)) << "no original tuple";
  answer[22] = std::byte(1);  // CTA_TUPLE_ORIG
  auto decoded = DecodeFlow(answer, 7);
  ASSERT_TRUE(decoded) << decoded.error().message();
  EXPECT_EQ(*decoded, At("10.0.0.1:4242"));
}

TEST(DecodeFlow, SurvivesEveryCut) {
  Bytes whole = EncodeFlowRequest(At("[::1]:15053"), At("[fd77::2]:4242"), 7);
  whole[4] = std::byte(0);
  whole[22] = std::byte(1);
  ASSERT_TRUE(DecodeFlow(whole, 7));
  for (size_t size = 0; size < whole.size(); ++size) {
    Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    if (size >= 4) {
      const auto length = static_cast<uint32_t>(size);
      std::memcpy(cut.data(), &length, sizeof(length));
    }
    EXPECT_FALSE(DecodeFlow(cut, 7)) << size;
  }
}

TEST(DecodeFlow, SaysWhatTheKernelSays) {
  Bytes answer = EncodeFlowRequest(At("127.0.0.1:15053"), At("10.0.0.1:4242"), 7);
  answer[4] = std::byte(NLMSG_ERROR);
  answer[5] = std::byte(0);
  const int32_t error = -EPERM;
  std::memcpy(answer.data() + NLMSG_HDRLEN, &error, sizeof(error));
  EXPECT_EQ(DecodeFlow(answer, 7).error().code(), ErrorCode::kPermissionDenied);
}

}  // namespace
}  // namespace ambit::dns
