#include "ztunnel-lite/admin/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ambit::admin {
namespace {

using testing::HasSubstr;

http1::Request Call(const std::string& method, const std::string& target) {
  http1::Request request;
  request.method = method;
  request.target = target;
  return request;
}

TEST(ReadinessPage, NamesWhatIsPending) {
  observe::Readiness readiness;
  readiness.MarkPending("state manager");
  readiness.MarkPending("dns proxy");
  auto response = AnswerReadiness(readiness, Call("GET", "/healthz/ready"));
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(response.body, "not ready, pending: dns proxy, state manager\n");
  readiness.MarkReady("state manager");
  readiness.MarkReady("dns proxy");
  response = AnswerReadiness(readiness, Call("GET", "/healthz/ready"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "ready\n");
  EXPECT_EQ(AnswerReadiness(readiness, Call("POST", "/healthz/ready")).status, 405);
  EXPECT_EQ(AnswerReadiness(readiness, Call("GET", "/")).status, 404);
}

TEST(MetricsPage, IsCompressedForWhoeverAsksForIt) {
  prometheus::Registry registry;
  auto& family = prometheus::BuildGauge().Name("a").Help("h").Register(registry);
  for (int i = 0; i < 100; ++i) family.Add({{"n", std::to_string(i)}});
  const std::string plain = AnswerMetrics(registry, Call("GET", "/metrics")).body;
  for (const char* coding : {"gzip", "deflate", "br", "zstd"}) {
    auto request = Call("GET", "/metrics");
    request.headers["accept-encoding"] = coding;
    auto response = AnswerMetrics(registry, request);
    EXPECT_EQ(response.headers["Content-Encoding"], coding);
    EXPECT_LT(response.body.size(), plain.size() / 2);
  }
}

TEST(MetricsPage, AnswersBothPathsInTheFormThatIsAskedFor) {
  prometheus::Registry registry;
  for (const char* path : {"/metrics", "/stats/prometheus"}) {
    auto response = AnswerMetrics(registry, Call("GET", path));
    EXPECT_EQ(response.content_type, "text/plain; charset=utf-8");
    EXPECT_EQ(response.body, "# EOF\n");
  }
  auto request = Call("GET", "/metrics");
  request.headers["accept"] = "text/plain, Application/OpenMetrics-Text;version=1.0.0";
  EXPECT_THAT(AnswerMetrics(registry, request).content_type,
              HasSubstr("application/openmetrics-text"));
  EXPECT_EQ(AnswerMetrics(registry, Call("GET", "/")).status, 404);
}

class AdminPages : public testing::Test {
 protected:
  http1::Response Ask(const std::string& method, const std::string& target) {
    return AnswerAdmin(context_, Call(method, target));
  }

  observe::MemoryLog log_;
  int quits_ = 0;
  AdminContext context_{[] { return Snapshot(); }, [this] { ++quits_; }, log_, "info"};
};

TEST_F(AdminPages, ShowsAnIndexAndTheDumpAndNothingElse) {
  EXPECT_THAT(Ask("GET", "/").content_type, HasSubstr("text/html"));
  EXPECT_EQ(Ask("GET", "/config_dump").content_type, "application/json");
  EXPECT_THAT(Ask("GET", "/config_dump").body, HasSubstr("\"workloads\""));
  EXPECT_EQ(Ask("GET", "/stranger").status, 404);
}

TEST_F(AdminPages, QuitsOnPostOnly) {
  EXPECT_EQ(Ask("GET", "/quitquitquit").status, 405);
  EXPECT_EQ(quits_, 0);
  auto response = Ask("POST", "/quitquitquit");
  EXPECT_EQ(response.body, "shutdown now\n");
  EXPECT_EQ(quits_, 1);
}

TEST_F(AdminPages, ChangesTheLogFilterStepByStepAndBack) {
  ASSERT_TRUE(log_.SetFilter("info").has_value());
  EXPECT_EQ(Ask("GET", "/logging").status, 405);
  EXPECT_EQ(Ask("POST", "/logging").body, "current log level is info\n");
  EXPECT_EQ(Ask("POST", "/logging?level=xds=debug").body, "current log level is info,xds=debug\n");
  EXPECT_EQ(Ask("POST", "/logging?level=warn").body, "current log level is xds=debug,warn\n");
  EXPECT_EQ(Ask("POST", "/logging?level=loud").status, 400);
  EXPECT_EQ(Ask("POST", "/logging").body, "current log level is xds=debug,warn\n");
  EXPECT_EQ(Ask("POST", "/logging?reset").body, "current log level is info\n");
  EXPECT_EQ(Ask("POST", "/logging?level=debug&reset").body, "current log level is debug\n");
  EXPECT_EQ(Ask("POST", "/logging?level=").body, "current log level is debug\n");
  EXPECT_EQ(Ask("POST", "/logging?level=ztunnel::xds%3Dwarn,dns:off").body,
            "current log level is debug,xds=warn,dns=off\n");
  EXPECT_EQ(Ask("POST", "/logging?level=xds").status, 400);
  EXPECT_THAT(Ask("POST", "/logging?level=xds=loud").body, HasSubstr("usage: POST /logging"));
}

TEST_F(AdminPages, EveryScopeHasALevelOfItsOwn) {
  for (const char* scope : {"access", "app", "dns", "errors", "proxy", "rbac", "xds", "zds"}) {
    ASSERT_EQ(Ask("POST", std::string("/logging?reset&level=off,") + scope + "=debug").status, 200);
    EXPECT_TRUE(log_.Enabled(observe::Level::kDebug, scope)) << scope;
    EXPECT_FALSE(log_.Enabled(observe::Level::kTrace, scope)) << scope;
    EXPECT_FALSE(log_.Enabled(observe::Level::kError, "another")) << scope;
  }
}

TEST(MergeFilters, ReplacesEntriesOfTheSameTarget) {
  EXPECT_EQ(MergeFilters("info,a=warn", "a=debug"), "info,a=debug");
  EXPECT_EQ(MergeFilters("info", ""), "info");
  EXPECT_EQ(MergeFilters("", "debug"), "debug");
}

}  // namespace
}  // namespace ambit::admin
