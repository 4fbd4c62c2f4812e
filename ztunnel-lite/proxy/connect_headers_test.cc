#include "ztunnel-lite/proxy/connect_headers.h"

#include <gtest/gtest.h>

namespace ambit::proxy {
namespace {

class Counting : public Random {
 public:
  uint64_t Below(uint64_t) override { return ++next_; }

 private:
  uint64_t next_ = 0;
};

state::Workload Client() {
  state::Workload workload;
  workload.ns = "default";
  workload.workload_name = "client";
  workload.canonical_name = "client";
  workload.canonical_revision = "v1";
  return workload;
}

TEST(Baggage, HasEveryKnownItemInTheFixedOrder) {
  state::Workload workload = Client();
  workload.locality = {"europe", "europe-1", "a"};
  EXPECT_EQ(BaggageOf(workload),
            "k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.deployment.name=client,"
            "service.name=client,service.version=v1,cloud.region=europe,"
            "cloud.availability_zone=europe-1");
}

TEST(Baggage, IsReadAsTheWorkloadThatItDescribes) {
  state::Workload told = Client();
  told.locality = {"europe", "europe-1", ""};
  auto read = WorkloadOfBaggage(BaggageOf(told), "spiffe://td/ns/certified/sa/client");
  ASSERT_TRUE(read);
  told.trust_domain = "td";
  told.ns = "certified";
  told.service_account = "client";
  EXPECT_EQ(*read, told);
  for (const char* key : {"cronjob", "pod", "job"}) {
    auto baggage = std::string("k8s.") + key + ".name=nightly";
    EXPECT_EQ(WorkloadOfBaggage(baggage, "")->workload_name, "nightly");
  }
}

TEST(Baggage, ThatIsNotOneIsLeftOut) {
  for (const char* nothing : {"", "no items at all", "others.key=1", "=,=,=", ",,,", "\xff\xfe"}) {
    EXPECT_EQ(WorkloadOfBaggage(nothing, "spiffe://td/ns/a/sa/b"), nullptr) << nothing;
  }
  auto read =
      WorkloadOfBaggage(" service.name=a=b,k8s.namespace.name=x,service.name,service.version=" +
                            std::string(300, 'v'),
                        "");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->canonical_name, "a");
  EXPECT_EQ(read->ns, "x");
  EXPECT_EQ(read->canonical_revision, "");
  EXPECT_EQ(read->cluster_id, "");
}

TEST(Baggage, LeavesOutItemsWithoutAValue) {
  EXPECT_EQ(BaggageOf(Client()),
            "k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.deployment.name=client,"
            "service.name=client,service.version=v1");
  state::Workload nothing;
  nothing.cluster_id.clear();
  EXPECT_EQ(BaggageOf(nothing), "");
}

TEST(Baggage, NamesTheKindOfWorkload) {
  state::Workload workload = Client();
  workload.cluster_id.clear();
  workload.canonical_name.clear();
  workload.canonical_revision.clear();
  workload.workload_type = state::WorkloadType::kPod;
  EXPECT_EQ(BaggageOf(workload), "k8s.namespace.name=default,k8s.pod.name=client");
  workload.workload_type = state::WorkloadType::kCronJob;
  EXPECT_EQ(BaggageOf(workload), "k8s.namespace.name=default,k8s.cronjob.name=client");
  workload.workload_type = state::WorkloadType::kJob;
  EXPECT_EQ(BaggageOf(workload), "k8s.namespace.name=default,k8s.job.name=client");
}

TEST(Forwarded, NamesTheClientAndTheServiceIfThereIsOne) {
  auto v4 = net::Endpoint::Parse("10.244.1.5:41234").value();
  EXPECT_EQ(ForwardedHeader(v4, ""), "for=\"10.244.1.5:41234\"");
  EXPECT_EQ(ForwardedHeader(v4, "web.default.svc.cluster.local"),
            "for=\"10.244.1.5:41234\";host=web.default.svc.cluster.local");
  auto v6 = net::Endpoint::Parse("[fd00::5]:41234").value();
  EXPECT_EQ(ForwardedHeader(v6, ""), "for=\"[fd00::5]:41234\"");
}

TEST(Forwarded, TheHostIsTheFirstPartThatBeginsWithHost) {
  EXPECT_EQ(ForwardedHost("for=\"10.0.0.1:2\";host=web.ns"), "web.ns");
  EXPECT_EQ(ForwardedHost("for=\"10.0.0.1:2\" ; host=\"web.ns\""), "web.ns");
  EXPECT_EQ(ForwardedHost("host=a;host=b"), "a");
  EXPECT_EQ(ForwardedHost("for=\"10.0.0.1:2\""), "");
  EXPECT_EQ(ForwardedHost(""), "");
  EXPECT_EQ(ForwardedHost(";;"), "");
  EXPECT_EQ(ForwardedHost("host=\""), "\"");
  EXPECT_EQ(ForwardedHost("host=w\xc3\xa9"), "");
}

TEST(Traceparent, IsVersionTraceSpanAndFlags) {
  Counting random;
  EXPECT_EQ(MakeTraceparent(random), "00-00000000000000010000000000000002-0000000000000004-00");
}

}  // namespace
}  // namespace ambit::proxy
