#include "ztunnel-lite/xds/test_server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <thread>

namespace ambit::xds {

class TestServer::Service
    : public envoy::service::discovery::v3::AggregatedDiscoveryService::Service {
 public:
  grpc::Status DeltaAggregatedResources(
      grpc::ServerContext* context, grpc::ServerReaderWriter<Response, Request>* stream) override {
    {
      std::lock_guard lock(mutex);
      auto header = context->client_metadata().find("authorization");
      authorization = header == context->client_metadata().end()
                          ? ""
                          : std::string(header->second.data(), header->second.size());
      current = context;
      drop = false;
    }
    std::thread writer([&] { Write(*stream); });
    Request request;
    while (stream->Read(&request)) {
      std::lock_guard lock(mutex);
      requests.push_back(request);
      changed.notify_all();
    }
    {
      std::lock_guard lock(mutex);
      drop = true;
      current = nullptr;
      changed.notify_all();
    }
    writer.join();
    return grpc::Status::OK;
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Request> requests;
  std::deque<Response> responses;
  std::string authorization;
  grpc::ServerContext* current = nullptr;
  bool drop = false;

 private:
  void Write(grpc::ServerReaderWriter<Response, Request>& stream) {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return drop || !responses.empty(); });
      if (drop) return;
      Response response = std::move(responses.front());
      responses.pop_front();
      lock.unlock();
      stream.Write(response);
      lock.lock();
    }
  }
};

TestServer::TestServer(const std::string& key_pem, const std::string& chain_pem)
    : service_(std::make_unique<Service>()), tls_(!key_pem.empty()) {
  grpc::ServerBuilder builder;
  auto credentials = grpc::InsecureServerCredentials();
  if (tls_) {
    grpc::SslServerCredentialsOptions options;
    options.pem_key_cert_pairs.push_back({key_pem, chain_pem});
    credentials = grpc::SslServerCredentials(options);
  }
  builder.AddListeningPort("127.0.0.1:0", credentials, &port_);
  builder.RegisterService(service_.get());
  server_ = builder.BuildAndStart();
}

TestServer::~TestServer() {
  Drop();
  server_->Shutdown(std::chrono::system_clock::now());
}

std::string TestServer::address() const {
  return (tls_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_);
}

std::optional<TestServer::Request> TestServer::NextRequest() {
  std::unique_lock lock(service_->mutex);
  if (!service_->changed.wait_for(lock, std::chrono::seconds(10),
                                  [&] { return !service_->requests.empty(); })) {
    return std::nullopt;
  }
  Request request = std::move(service_->requests.front());
  service_->requests.pop_front();
  return request;
}

void TestServer::Send(Response response) {
  std::lock_guard lock(service_->mutex);
  service_->responses.push_back(std::move(response));
  service_->changed.notify_all();
}

void TestServer::Drop() {
  std::lock_guard lock(service_->mutex);
  if (service_->current != nullptr) service_->current->TryCancel();
}

std::string TestServer::authorization() const {
  std::lock_guard lock(service_->mutex);
  return service_->authorization;
}

}  // namespace ambit::xds
