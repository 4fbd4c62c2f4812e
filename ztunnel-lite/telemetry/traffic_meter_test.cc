#include "ztunnel-lite/telemetry/traffic_meter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace ambit::telemetry {
namespace {

using testing::HasSubstr;
using testing::Not;

class FakeClock : public Clock {
 public:
  std::chrono::system_clock::time_point Now() const override { return {}; }
  std::chrono::steady_clock::time_point Steady() const override { return now; }
  std::chrono::steady_clock::time_point now;
};

state::WorkloadPtr Pod(const std::string& name) {
  auto pod = std::make_shared<state::Workload>();
  pod->name = name + "-abc";
  pod->workload_name = name;
  pod->canonical_name = name + "-svc";
  pod->canonical_revision = "v1";
  pod->ns = "default";
  pod->service_account = name;
  pod->locality.zone = "z";
  return pod;
}

ConnectionInfo Hbone(Reporter reporter) {
  ConnectionInfo info;
  info.reporter = reporter;
  info.source = net::Endpoint::Parse("10.244.1.5:41234").value();
  info.destination = net::Endpoint::Parse("10.244.2.7:15008").value();
  info.hbone_authority = "10.244.2.7:8080";
  info.source_workload = Pod("client");
  info.destination_workload = Pod("web");
  auto service = std::make_shared<state::Service>();
  service->name = "web";
  service->ns = "default";
  service->hostname = "web.default.svc.cluster.local";
  info.destination_service = service;
  info.source_identity = "spiffe://cluster.local/ns/default/sa/client";
  info.destination_identity = "spiffe://cluster.local/ns/default/sa/web";
  info.mutual_tls = true;
  return info;
}

class TrafficMeterTest : public testing::Test {
 protected:
  std::string Metrics() { return observe::OpenMetricsText(registry_); }

  MetricsRegistry registry_;
  observe::MemoryLog log_;
  FakeClock clock_;
  TrafficMeter meter_{registry_, log_, clock_};
};

constexpr char kLabels[] =
    "{reporter=\"source\",source_workload=\"client\",source_canonical_service=\"client-svc\","
    "source_canonical_revision=\"v1\",source_workload_namespace=\"default\","
    "source_principal=\"spiffe://cluster.local/ns/default/sa/client\",source_app=\"client-svc\","
    "source_version=\"v1\",source_cluster=\"Kubernetes\","
    "destination_service=\"web.default.svc.cluster.local\","
    "destination_service_namespace=\"default\",destination_service_name=\"web\","
    "destination_workload=\"web\",destination_canonical_service=\"web-svc\","
    "destination_canonical_revision=\"v1\",destination_workload_namespace=\"default\","
    "destination_principal=\"spiffe://cluster.local/ns/default/sa/web\","
    "destination_app=\"web-svc\",destination_version=\"v1\",destination_cluster=\"Kubernetes\","
    "request_protocol=\"tcp\",response_flags=\"-\",connection_security_policy=\"mutual_tls\","
    "source_region=\"unknown\",source_zone=\"z\",destination_region=\"unknown\","
    "destination_zone=\"z\"}";

TEST_F(TrafficMeterTest, CountsWithEveryLabelInItsOrder) {
  auto record = meter_.Open(Hbone(Reporter::kSource));
  std::string labels = kLabels;
  EXPECT_THAT(Metrics(), HasSubstr("istio_tcp_connections_opened_total" + labels + " 1\n"));
  EXPECT_THAT(Metrics(), Not(HasSubstr("istio_tcp_connections_closed_total")));
  record->AddBytes(11, 22);
  EXPECT_THAT(Metrics(), HasSubstr("istio_tcp_received_bytes_total" + labels + " 11\n"));
  EXPECT_THAT(Metrics(), HasSubstr("istio_tcp_sent_bytes_total" + labels + " 22\n"));
  record->FinishOk();
  record.reset();
  EXPECT_THAT(Metrics(), HasSubstr("istio_tcp_connections_closed_total" + labels + " 1\n"));
  EXPECT_THAT(Metrics(), Not(HasSubstr("istio_tcp_connections_failed_total")));
}

TEST_F(TrafficMeterTest, LogsOneLineAtTheEnd) {
  ASSERT_TRUE(log_.SetFilter("info").has_value());
  auto record = meter_.Open(Hbone(Reporter::kSource));
  record->AddBytes(11, 22);
  clock_.now += std::chrono::milliseconds(7);
  record->FinishOk();
  EXPECT_EQ(log_.text(),
            "info\taccess\tconnection complete\tsrc.addr=10.244.1.5:41234 "
            "src.workload=\"client-abc\" src.namespace=\"default\" "
            "src.identity=\"spiffe://cluster.local/ns/default/sa/client\" "
            "src.cluster=\"Kubernetes\" dst.addr=10.244.2.7:15008 dst.hbone_addr=10.244.2.7:8080 "
            "dst.service=\"web.default.svc.cluster.local\" dst.workload=\"web-abc\" "
            "dst.namespace=\"default\" dst.identity=\"spiffe://cluster.local/ns/default/sa/web\" "
            "dst.cluster=\"Kubernetes\" direction=\"outbound\" bytes_sent=11 bytes_recv=22 "
            "duration=\"7ms\"\n");
}

TEST_F(TrafficMeterTest, LogsTheOpeningForWhoeverDebugs) {
  auto record = meter_.Open(Hbone(Reporter::kDestination));
  EXPECT_TRUE(log_.text().starts_with("debug\taccess\tconnection opened\tsrc.addr="));
  EXPECT_TRUE(log_.text().ends_with("direction=\"inbound\"\n"));
}

TEST_F(TrafficMeterTest, InboundBytesAreNamedAsTheAppSeesThem) {
  auto record = meter_.Open(Hbone(Reporter::kDestination));
  record->AddBytes(11, 22);
  record->FinishOk();
  EXPECT_THAT(log_.text(), HasSubstr("direction=\"inbound\" bytes_sent=22 bytes_recv=11"));
}

TEST_F(TrafficMeterTest, AFailureHasItsFlagAndAnErrorLine) {
  auto record = meter_.Open(Hbone(Reporter::kSource));
  record->FinishError(Flag::kNetworkPolicy, Error(ErrorCode::kTimedOut, "timed out"));
  record.reset();
  EXPECT_THAT(log_.text(), HasSubstr("error\taccess\tconnection complete"));
  EXPECT_THAT(log_.text(), HasSubstr("error=\"timed out\""));
  EXPECT_THAT(Metrics(), HasSubstr("response_flags=\"NETWORK_POLICY\""));
  EXPECT_THAT(Metrics(), HasSubstr("istio_tcp_connections_failed_total"));
}

TEST_F(TrafficMeterTest, ARecordThatIsDroppedWasCutByADrain) {
  meter_.Open(Hbone(Reporter::kSource)).reset();
  EXPECT_THAT(log_.text(), HasSubstr("error=\"closed due to drain\""));
  EXPECT_THAT(Metrics(), HasSubstr("istio_tcp_connections_closed_total"));
  EXPECT_THAT(Metrics(), Not(HasSubstr("istio_tcp_connections_failed_total")));
}

TEST_F(TrafficMeterTest, PlaintextFromAnUnknownSourceSaysUnknownAndNoIdentity) {
  ConnectionInfo info;
  info.source_identity = "spiffe://td/ns/a/sa/b";
  meter_.Open(info)->FinishOk();
  EXPECT_THAT(Metrics(), HasSubstr("source_principal=\"unknown\""));
  EXPECT_THAT(Metrics(), HasSubstr("source_cluster=\"unknown\""));
  EXPECT_THAT(Metrics(), Not(HasSubstr("source_zone")));
  EXPECT_THAT(log_.text(), Not(HasSubstr("src.identity")));
}

TEST_F(TrafficMeterTest, AnEarlyDenyIsALineAndNoConnection) {
  meter_.EarlyDeny(Reporter::kSource, net::Endpoint(), net::Endpoint(),
                   Error(ErrorCode::kUnavailable, "no healthy upstream"));
  EXPECT_EQ(log_.text(),
            "warn\taccess\tconnection failed\tsrc.addr=0.0.0.0:0 dst.addr=0.0.0.0:0 "
            "direction=\"outbound\" error=\"no healthy upstream\"\n");
  EXPECT_THAT(Metrics(), Not(HasSubstr("istio_tcp_connections")));
}

TEST_F(TrafficMeterTest, SocketsAreCountedPerReporter) {
  meter_.SocketOpened(Reporter::kDestination);
  meter_.SocketOpened(Reporter::kDestination);
  meter_.SocketClosed(Reporter::kDestination);
  EXPECT_THAT(Metrics(), HasSubstr("istio_tcp_sockets_open{reporter=\"destination\"} 1\n"));
}

TEST_F(TrafficMeterTest, ListsTheConnectionsThatAreOpen) {
  auto first = meter_.Open(Hbone(Reporter::kSource));
  clock_.now += std::chrono::milliseconds(5);
  auto second = meter_.Open(Hbone(Reporter::kDestination));
  first->AddBytes(11, 22);
  first->AddBytes(1, 0);
  clock_.now += std::chrono::milliseconds(2);
  auto open = meter_.ListOpen();
  ASSERT_EQ(open.size(), 2u);
  EXPECT_EQ(open[0].info->reporter, Reporter::kSource);
  EXPECT_EQ(open[0].received, 12u);
  EXPECT_EQ(open[0].sent, 22u);
  EXPECT_EQ(open[0].age, std::chrono::milliseconds(7));
  EXPECT_EQ(open[1].info->reporter, Reporter::kDestination);
  EXPECT_EQ(open[1].age, std::chrono::milliseconds(2));
  first->FinishOk();
  EXPECT_EQ(meter_.ListOpen().size(), 1u);
  second.reset();
  EXPECT_TRUE(meter_.ListOpen().empty());
  // What was listed stays readable.
  EXPECT_EQ(open[0].info->source_identity, "spiffe://cluster.local/ns/default/sa/client");
}

TEST_F(TrafficMeterTest, OpenConnectionsAreListedWhileOthersComeAndGo) {
  std::vector<std::jthread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([this] {
      for (int n = 0; n < 300; ++n) {
        auto record = meter_.Open(Hbone(Reporter::kSource));
        record->AddBytes(1, 1);
        record->FinishOk();
      }
    });
  }
  for (int n = 0; n < 100; ++n) EXPECT_LE(meter_.ListOpen().size(), 4u);
  workers.clear();
  EXPECT_TRUE(meter_.ListOpen().empty());
}

TEST_F(TrafficMeterTest, SeriesOfAWorkloadThatIsGoneExpireOnceItsConnectionsHave) {
  const auto hour = std::chrono::hours(1);
  auto record = meter_.Open(Hbone(Reporter::kSource));
  const std::vector<state::WorkloadPtr> both{Pod("client"), Pod("web")};
  const std::vector<state::WorkloadPtr> client{Pod("client")};
  auto look = [&](const std::vector<state::WorkloadPtr>& workloads) {
    registry_.ExpireSeries(KnownWorkloads(workloads), clock_.now, hour);
    return registry_.traffic().size();
  };
  EXPECT_EQ(look(both), 1u);
  clock_.now += 2 * hour;
  EXPECT_EQ(look(client), 1u);
  clock_.now += 2 * hour;
  EXPECT_EQ(look(client), 1u) << "a connection is still open";
  record->FinishOk();
  record.reset();
  EXPECT_EQ(look(client), 1u) << "the last figures are still to be scraped";
  clock_.now += hour / 2;
  EXPECT_EQ(look(both), 1u) << "it came back";
  clock_.now += hour / 2;
  EXPECT_EQ(look(client), 1u);
  clock_.now += hour - std::chrono::milliseconds(1);
  EXPECT_EQ(look(client), 1u);
  clock_.now += std::chrono::milliseconds(1);
  EXPECT_EQ(look(client), 0u);
  EXPECT_THAT(Metrics(), HasSubstr("ambit_series_expired_total{table=\"traffic\"} 1\n"));
  EXPECT_THAT(Metrics(), Not(HasSubstr("istio_tcp_connections_opened_total")));
}

TEST_F(TrafficMeterTest, SeriesOfNobodyStay) {
  meter_.Open(ConnectionInfo())->FinishOk();
  for (int i = 0; i < 3; ++i) {
    clock_.now += std::chrono::hours(1);
    registry_.ExpireSeries(KnownWorkloads({}), clock_.now, std::chrono::hours(1));
  }
  EXPECT_EQ(registry_.traffic().size(), 1u);
}

TEST_F(TrafficMeterTest, FailuresAreSummedUpByCauseAndDestination) {
  ASSERT_TRUE(log_.SetFilter("off,errors=info").has_value());
  for (int i = 0; i < 3; ++i) {
    meter_.Open(Hbone(Reporter::kSource))
        ->FinishError(Flag::kConnect, Error(ErrorCode::kTimedOut, "timed out"));
  }
  meter_.EarlyDeny(Reporter::kSource, net::Endpoint(), net::Endpoint::Parse("10.1.1.1:80").value(),
                   Error(ErrorCode::kUnavailable, "no healthy upstream"));
  meter_.errors().Write(log_, std::chrono::minutes(1));
  EXPECT_EQ(log_.text(),
            "warn\terrors\tmost frequent failures\tinterval=\"60s\" failures=4 kinds=2 "
            "1=\"3 x CONNECT to web.default.svc.cluster.local: timed out\" "
            "2=\"1 x DENIED to 10.1.1.1:80: no healthy upstream\"\n");
}

}  // namespace
}  // namespace ambit::telemetry
