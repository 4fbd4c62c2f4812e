#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "control-plane/app.h"
#include "control-plane/callers/folder_for_test.h"
#include "control-plane/callers/kept_file.h"
#include "lib/base/clock.h"
#include "proto/certificate.grpc.pb.h"
#include "proto/discovery.grpc.pb.h"

namespace ambit::control {

inline constexpr char kTokenOfNode1[] = "token-of-node-one";
inline constexpr char kTokenOfNode2[] = "token-of-node-two";

struct ClientIdentity {
  std::string token;  // empty: none
  std::string key_pem, chain_pem;
};

// The whole program on an ephemeral port over a folder of its own; its loop runs on a thread.
class RunningApp {
 public:
  RunningApp() {
    std::filesystem::create_directory(folder_ / "manifests");
    folder_.Write("tokens", std::string(kTokenOfNode1) + ",n1\n" + kTokenOfNode2 + ",n2\n");
  }
  ~RunningApp() { Stop(); }

  void Start() {
    Options options;
    options.manifests = folder_ / "manifests";
    options.address = *net::Endpoint::Parse("127.0.0.1:" + std::to_string(port_));
    options.data = folder_ / "data";
    options.tokens = folder_ / "tokens";
    options.port_file = folder_ / "port";
    context_ = std::make_unique<boost::asio::io_context>();
    auto app = App::Start(options, *context_, log_, clock_);
    ASSERT_TRUE(app) << app.error().message();
    app_ = *std::move(app);
    // A second start serves on the same port, as a restarted program does.
    port_ = app_->port();
    thread_ = std::thread([this] {
      auto work = boost::asio::make_work_guard(*context_);
      context_->run();
    });
  }
  void Stop() {
    if (!app_) return;
    context_->stop();
    thread_.join();
    app_.reset();
    context_.reset();
  }

  void Write(const std::string& name, const std::string& text) {
    folder_.Write("manifests/" + name, text);
  }
  void Remove(const std::string& name) { std::filesystem::remove(folder_ / ("manifests/" + name)); }
  std::string Read(const std::string& name) {
    return callers::ReadPublicFile(folder_ / name).value_or("");
  }
  std::string log_text() const { return log_.text(); }

  std::shared_ptr<grpc::Channel> Channel(const ClientIdentity& identity = {}) {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = Read("data/root-cert.pem");
    tls.pem_private_key = identity.key_pem;
    tls.pem_cert_chain = identity.chain_pem;
    return grpc::CreateChannel("127.0.0.1:" + std::to_string(port_), grpc::SslCredentials(tls));
  }

 private:
  callers::TemporaryFolder folder_;
  observe::MemoryLog log_;
  SystemClock clock_;
  int port_ = 0;
  std::unique_ptr<boost::asio::io_context> context_;
  std::unique_ptr<App> app_;
  std::thread thread_;
};

inline void Prepare(grpc::ClientContext& context, const std::string& token) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
}

}  // namespace ambit::control
