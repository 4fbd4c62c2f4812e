// What the DNS proxy costs a captured pod: one worker, a pod and its resolver in namespaces of
// their own with the agent's rules, an app with one socket. Usage: dns_bench [questions]

#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "lib/net/socket.h"
#include "node-agent/redirect/redirect.h"
#include "node-agent/redirect/testing/netns_lab.h"
#include "node-agent/redirect/testing/traffic.h"
#include "ztunnel-lite/dns/testing/decoded.h"
#include "ztunnel-lite/dns/testing/fake_resolver.h"
#include "ztunnel-lite/dns/testing/test_proxy.h"

namespace ambit::dns {
namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

const net::Endpoint kResolver = net::Endpoint::Parse("10.77.0.1:53").value();

// One question after the other; each app has a port of its own, as the C library does it.
void Latency(const char* name, const redirect::TestNetns& pod, const std::string& host, int count,
             uint32_t mark) {
  const Bytes question = testing::Encode({.name = host});
  std::vector<double> taken;
  Bytes answer(512);
  for (int i = 0; i < count; ++i) {
    const UniqueFd app = redirect::ConnectUdp(pod, kResolver, mark);
    const auto start = Clock::now();
    send(app.get(), question.data(), question.size(), 0);
    if (!redirect::Readable(app, std::chrono::seconds(5)) ||
        recv(app.get(), answer.data(), answer.size(), 0) < 0) {
      std::abort();
    }
    taken.push_back(Microseconds(Clock::now() - start).count());
  }
  std::ranges::sort(taken);
  const auto at = [&](double part) { return taken[static_cast<size_t>(part * (count - 1))]; };
  std::printf("%-34s %8.1f us median, %8.1f us p99\n", name, at(0.5), at(0.99));
}

// `depth` questions under way on one socket.
void Throughput(const char* name, const redirect::TestNetns& pod, const std::string& host,
                int count, int depth) {
  const Bytes question = testing::Encode({.name = host});
  const UniqueFd app = redirect::ConnectUdp(pod, kResolver);
  Bytes answer(512);
  const auto start = Clock::now();
  int sent = 0, lost = 0;
  for (int received = 0; received < count;) {
    for (; sent < count && sent - received < depth; ++sent) {
      send(app.get(), question.data(), question.size(), 0);
    }
    if (!redirect::Readable(app, std::chrono::milliseconds(1000))) {
      lost += sent - received;
      received = sent;
      continue;
    }
    while (recv(app.get(), answer.data(), answer.size(), 0) >= 0) ++received;
  }
  const double seconds = Microseconds(Clock::now() - start).count() / 1e6;
  std::printf("%-34s %8.0f questions/s, %d under way, %d lost\n", name, count / seconds, depth,
              lost);
}

state::WorkloadPtr MakeMesh(state::MeshState& mesh) {
  for (int i = 0; i < 2000; ++i) {
    auto service = std::make_shared<state::Service>();
    service->name = "s" + std::to_string(i);
    service->ns = "demo";
    service->hostname = service->name + ".demo.svc.cluster.local";
    service->vips = {{"", net::IpAddress::Parse("10.96.0.10").value()}};
    mesh.Upsert(state::ServicePtr(service));
  }
  auto client = std::make_shared<state::Workload>();
  client->ns = "demo";
  return client;
}

// The conversation with the kernel about one flow.
void FlowLookup(const redirect::TestNetns& pod, int count) {
  auto flows = pod.In([] { return FlowTable::Open(); }).value();
  const net::Endpoint proxy = net::Endpoint::Parse("127.0.0.1:15053").value();
  const UniqueFd app = redirect::ConnectUdp(pod, kResolver);
  redirect::Write(app, "x");
  const net::Endpoint client{net::IpAddress::Parse("10.77.0.2").value(),
                             net::LocalEndpoint(app.get())->port};
  const auto start = Clock::now();
  for (int i = 0; i < count; ++i) {
    if (!flows.OriginalDestination(proxy, client)) std::abort();
  }
  std::printf("%-34s %8.2f us\n", "original destination",
              Microseconds(Clock::now() - start).count() / count);
}

void Run(int count) {
  redirect::PodAndPeer nodes;
  auto plan = redirect::PlanRedirect({.dns_capture = true});
  if (!nodes.pod.In([&plan] { return netlink::Run(*plan); })) std::abort();
  auto resolver = nodes.peer.In([] {
    return std::make_unique<testing::FakeResolver>(
        std::vector{kResolver}, [](const testing::Received& question) {
          return std::vector<Bytes>{testing::AnswerTo(question.message)};
        });
  });
  state::MeshState mesh;
  telemetry::DnsMeter meter;
  Server::Options options;
  options.pod_netns = nodes.pod.fd();
  const UniqueFd own = net::OpenOwnNetns().value();
  options.own_netns = own.get();
  options.listen = {.mark = redirect::kTunnelMark};
  testing::TestProxy proxy({mesh, &meter, nullptr}, options);
  proxy.Announce(MakeMesh(mesh));
  proxy.Serve(nodes.pod.In([&] { return BindListeners(options.listen); }).value());
  const std::string ours = "s1000.demo.svc.cluster.local.";
  const std::string searched = "www.example.com.demo.svc.cluster.local.";
  Latency("no proxy, resolver asked", nodes.pod, searched, count, redirect::kTunnelMark);
  Latency("forwarded", nodes.pod, searched, count, 0);
  Latency("answered from the mesh", nodes.pod, ours, count, 0);
  FlowLookup(nodes.pod, count);
  Throughput("answered from the mesh", nodes.pod, ours, count * 10, 64);
  Throughput("forwarded", nodes.pod, searched, count * 10, 64);
}

}  // namespace
}  // namespace ambit::dns

int main(int argc, char** argv) { ambit::dns::Run(argc > 1 ? std::atoi(argv[1]) : 10000); }
