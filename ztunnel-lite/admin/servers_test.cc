#include "ztunnel-lite/admin/servers.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/net/socket.h"

namespace ambit::admin {
namespace {

class AdminServers : public testing::Test {
 protected:
  Result<std::unique_ptr<Servers>> Start() {
    config_.ipv6 = false;
    config_.admin_port = config_.metrics_port = config_.readiness_port = 0;
    return Servers::Start({config_, io_, readiness_, metrics_,
                           AdminContext{[] { return Snapshot(); }, [] {}, log_, "info"}});
  }
  // One request over a plain socket, with the servers' loop turning meanwhile.
  std::string Get(uint16_t port, const std::string& path) {
    net::Endpoint endpoint{net::IpAddress::Loopback(net::Family::kIpv4), port};
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    auto address = net::ToSocketAddress(endpoint);
    EXPECT_EQ(connect(fd.get(), address.get(), address.length), 0);
    std::string request = "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(write(fd.get(), request.data(), request.size()),
              static_cast<ssize_t>(request.size()));
    std::string answer;
    for (;;) {
      pollfd poll_fd{fd.get(), POLLIN, 0};
      while (poll(&poll_fd, 1, 0) == 0) io_.run_one();
      char buffer[4096];
      ssize_t size = read(fd.get(), buffer, sizeof(buffer));
      if (size <= 0) return answer;
      answer.append(buffer, static_cast<size_t>(size));
    }
  }

  config::Config config_;
  boost::asio::io_context io_{1};
  observe::Readiness readiness_;
  prometheus::Registry metrics_;
  observe::MemoryLog log_;
};

TEST_F(AdminServers, ServeThreePortsAdminOnLoopbackOnly) {
  auto servers = Start();
  ASSERT_TRUE(servers.has_value()) << servers.error().message();
  EXPECT_TRUE((*servers)->admin_endpoint().address.IsLoopback());
  EXPECT_TRUE((*servers)->metrics_endpoint().address.IsUnspecified());
  EXPECT_NE(Get((*servers)->admin_endpoint().port, "/config_dump").find("workloads"),
            std::string::npos);
  EXPECT_NE(Get((*servers)->readiness_endpoint().port, "/healthz/ready").find("ready\n"),
            std::string::npos);
  EXPECT_NE(Get((*servers)->metrics_endpoint().port, "/metrics").find("process_open_fds"),
            std::string::npos);
}

TEST_F(AdminServers, AProfileOfTheCpuIsTakenForAsLongAsAsked) {
  auto servers = Start();
  ASSERT_TRUE(servers.has_value()) << servers.error().message();
  const uint16_t port = (*servers)->admin_endpoint().port;
  auto answer = Get(port, "/debug/pprof/profile?seconds=1&frequency=1000");
  EXPECT_NE(answer.find("200 OK"), std::string::npos);
  EXPECT_NE(answer.find("application/octet-stream"), std::string::npos);
  EXPECT_NE(answer.find("nanoseconds"), std::string::npos);
  for (const char* query : {"seconds=0", "seconds=301", "seconds=x", "seconds=", "frequency=0",
                            "seconds=1&frequency=1001"}) {
    EXPECT_NE(Get(port, std::string("/debug/pprof/profile?") + query).find(" 400 "),
              std::string::npos)
        << query;
  }
  EXPECT_NE(Get(port, "/debug/pprof/heap").find(" 500 "), std::string::npos);
  EXPECT_NE(Get(port, "/debug/pprof/heap/profiling?activate=true").find(" 500 "),
            std::string::npos);
  EXPECT_NE(Get(port, "/debug/pprof/").find(" 404 "), std::string::npos);
}

TEST_F(AdminServers, ATakenPortIsAnErrorThatNamesIt) {
  auto first = Start();
  ASSERT_TRUE(first.has_value());
  config::Config config = config_;
  config.admin_port = (*first)->admin_endpoint().port;
  auto second = Servers::Start({config, io_, readiness_, metrics_,
                                AdminContext{[] { return Snapshot(); }, [] {}, log_, "info"}});
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().message().find(std::to_string(config.admin_port)), std::string::npos);
}

}  // namespace
}  // namespace ambit::admin
