#include "ztunnel-lite/dns/testing/proxied_pod.h"

#include "lib/net/socket.h"

namespace ambit::dns::testing {

ProxiedPod::ProxiedPod() {
  auto plan = redirect::PlanRedirect({.dns_capture = true});
  auto done = pod().In([&plan] { return netlink::Run(*plan); });
  EXPECT_TRUE(done) << done.error().message();
  AwaitLink();
  auto service = std::make_shared<state::Service>();
  service->name = "server";
  service->ns = "demo";
  service->hostname = "server.demo.svc.cluster.local";
  service->vips = {{"", net::IpAddress::Parse("10.96.0.10").value()},
                   {"", net::IpAddress::Parse("fd96::10").value()}};
  mesh_.Upsert(state::ServicePtr(service));
  EXPECT_TRUE(log_.SetFilter("debug"));
  options_.pod_netns = pod().fd();
  options_.own_netns = own_netns_.get();
  options_.listen = {.ipv6 = true, .reuse_port = true, .mark = redirect::kTunnelMark};
}

// What is sent before a new link has its neighbours is lost.
void ProxiedPod::AwaitLink() const {
  const net::Endpoint there{Resolver().address, 9};
  const UniqueFd server = redirect::BindUdp(peer(), there);
  const UniqueFd client = redirect::ConnectUdp(pod(), there, redirect::kTunnelMark);
  bool arrived = false;
  for (int i = 0; i < 200 && !arrived; ++i) {
    redirect::Write(client, "there?");
    arrived = redirect::Readable(server, std::chrono::milliseconds(50));
  }
  ASSERT_TRUE(arrived);
  redirect::Answer(server);
  EXPECT_FALSE(redirect::Read(client).empty());
}

void ProxiedPod::SetUp() {
  StartResolver(
      [](const Received& question) { return std::vector<Bytes>{AnswerTo(question.message)}; });
  StartProxy();
}

std::shared_ptr<state::Workload> ProxiedPod::ClientWorkload() {
  auto workload = std::make_shared<state::Workload>();
  workload->name = "client";
  workload->ns = "demo";
  workload->canonical_name = "client";
  return workload;
}

void ProxiedPod::StartResolver(FakeResolver::Script script) {
  resolver_.reset();
  resolver_ = peer().In(
      [&] { return std::make_unique<FakeResolver>(std::vector{Resolver()}, std::move(script)); });
}

std::unique_ptr<TestProxy> ProxiedPod::MakeProxy() {
  auto made = std::make_unique<TestProxy>(Server::Context{mesh_, &meter_, &log_}, options_);
  made->Announce(ClientWorkload());
  made->Serve(Bind());
  return made;
}

Listeners ProxiedPod::Bind() const {
  return pod().In([&] { return BindListeners(options_.listen); }).value();
}

void ProxiedPod::StartProxy() {
  proxy_.reset();
  proxy_ = MakeProxy();
}

Bytes ProxiedPod::AskByUdp(const Bytes& message) const {
  const UniqueFd app = redirect::ConnectUdp(pod(), Resolver());
  EXPECT_EQ(send(app.get(), message.data(), message.size(), 0),
            static_cast<ssize_t>(message.size()));
  if (!redirect::Readable(app, std::chrono::seconds(5))) return {};
  Bytes answer(kMaxMessageBytes);
  const ssize_t got = recv(app.get(), answer.data(), answer.size(), 0);
  answer.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  return answer;
}

UniqueFd ProxiedPod::ConnectTcp() const { return redirect::Connect(pod(), Resolver()); }

void ProxiedPod::SendFramed(const UniqueFd& fd, const Bytes& message) {
  std::string framed{static_cast<char>(message.size() >> 8),
                     static_cast<char>(message.size() & 0xff)};
  framed += AsText(message);
  redirect::Write(fd, framed);
}

Bytes ProxiedPod::ReceiveFramed(const UniqueFd& fd) {
  Bytes framed;
  size_t wanted = 2;
  while (framed.size() < wanted) {
    if (!redirect::Readable(fd, std::chrono::seconds(5))) return {};
    Bytes part(wanted - framed.size());
    const ssize_t got = recv(fd.get(), part.data(), part.size(), 0);
    if (got <= 0) return {};
    framed.insert(framed.end(), part.begin(), part.begin() + got);
    if (framed.size() >= 2) {
      wanted = 2 + (std::to_integer<size_t>(framed[0]) << 8 | std::to_integer<size_t>(framed[1]));
    }
  }
  return Bytes(framed.begin() + 2, framed.end());
}

}  // namespace ambit::dns::testing
