#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <mutex>
#include <string>

#include "proto/discovery.grpc.pb.h"
#include "proto/workload.pb.h"

// A control plane that serves WORKLOADS workloads and SERVICES services to one tunnel.
//   usage: bench-discovery WORKLOADS SERVICES KEY.pem CERTIFICATE.pem
//   prints "port N"; "synced" when the tunnel has acknowledged all; for each line "update COUNT" on
//   its input it sends so many answers of one changed workload each, every one after the last was
//   acknowledged, and prints "updated"
namespace {

using envoy::service::discovery::v3::AggregatedDiscoveryService;
using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
using Response = envoy::service::discovery::v3::DeltaDiscoveryResponse;
using Stream = grpc::ServerReaderWriter<Response, Request>;

constexpr char kAddressType[] = "type.googleapis.com/istio.workload.Address";
constexpr char kAuthorizationType[] = "type.googleapis.com/istio.security.Authorization";
constexpr int kNamespaces = 50;
constexpr int kPodsPerNode = 50;

std::string ReadFile(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string Bytes(uint32_t address) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(address >> shift));
  return out;
}

std::string NamespaceOf(int i) { return "namespace-" + std::to_string(i % kNamespaces); }

std::string HostnameOf(int service) {
  return "service-" + std::to_string(service) + "." + NamespaceOf(service) + ".svc.cluster.local";
}

void Add(Response& response, const std::string& name, const istio::workload::Address& address) {
  auto* resource = response.add_resources();
  resource->set_name(name);
  resource->set_version(std::to_string(std::rand()));
  resource->mutable_resource()->set_type_url(kAddressType);
  address.SerializeToString(resource->mutable_resource()->mutable_value());
}

// As istiod fills a pod of a Deployment.
void AddWorkload(Response& response, int i, int services, int revision) {
  istio::workload::Address address;
  auto& pod = *address.mutable_workload();
  const int service = services > 0 ? i % services : 0;
  const std::string ns = NamespaceOf(service);
  const std::string app = "service-" + std::to_string(service);
  const std::string name = app + "-5d4f8c7b9-" + std::to_string(i);
  pod.set_uid("Kubernetes//Pod/" + ns + "/" + name);
  pod.set_name(name);
  pod.set_namespace_(ns);
  pod.set_service_account(app);
  pod.add_addresses(Bytes(0x0a000000u + static_cast<uint32_t>(i) + 1));
  pod.set_tunnel_protocol(istio::workload::HBONE);
  pod.set_node("node-" + std::to_string(i / kPodsPerNode));
  pod.set_canonical_name(app);
  pod.set_canonical_revision("v" + std::to_string(revision));
  pod.set_workload_name(app);
  pod.set_cluster_id("Kubernetes");
  pod.mutable_locality()->set_region("region-1");
  pod.mutable_locality()->set_zone("zone-" + std::to_string(i % 3));
  if (services > 0) {
    auto* port = (*pod.mutable_services())[ns + "/" + HostnameOf(service)].add_ports();
    port->set_service_port(80);
    port->set_target_port(8080);
  }
  Add(response, pod.uid(), address);
}

void AddService(Response& response, int i) {
  istio::workload::Address address;
  auto& service = *address.mutable_service();
  service.set_name("service-" + std::to_string(i));
  service.set_namespace_(NamespaceOf(i));
  service.set_hostname(HostnameOf(i));
  service.add_addresses()->set_address(Bytes(0x0a600000u + static_cast<uint32_t>(i) + 1));
  auto* port = service.add_ports();
  port->set_service_port(80);
  port->set_target_port(8080);
  Add(response, service.namespace_() + "/" + service.hostname(), address);
}

class Server : public AggregatedDiscoveryService::Service {
 public:
  Server(int workloads, int services) : services_(services) {
    everything_.set_type_url(kAddressType);
    everything_.set_nonce("all");
    for (int i = 0; i < workloads; ++i) AddWorkload(everything_, i, services, 1);
    for (int i = 0; i < services; ++i) AddService(everything_, i);
  }

  grpc::Status DeltaAggregatedResources(grpc::ServerContext*, Stream* stream) override {
    Request request;
    while (stream->Read(&request)) {
      if (request.response_nonce().empty()) {
        Answer(*stream, request.type_url());
      } else {
        Acknowledged(request);
      }
    }
    return grpc::Status::OK;
  }

  void Update(int count, int workloads) {
    for (int i = 0; i < count; ++i) {
      Response response;
      response.set_type_url(kAddressType);
      response.set_nonce("update");
      AddWorkload(response, i * 7919 % workloads, services_, 2 + i);
      std::unique_lock lock(mutex_);
      acknowledged_ = false;
      stream_->Write(response);
      changed_.wait(lock, [this] { return acknowledged_; });
    }
    std::puts("updated");
  }

 private:
  void Answer(Stream& stream, const std::string& type_url) {
    std::lock_guard lock(mutex_);
    stream_ = &stream;
    if (type_url == kAddressType) {
      stream.Write(everything_);
      return;
    }
    Response none;
    none.set_type_url(kAuthorizationType);
    none.set_nonce("none");
    stream.Write(none);
  }

  void Acknowledged(const Request& request) {
    if (request.has_error_detail()) {
      std::fprintf(stderr, "refused: %s\n",
                   request.error_detail().message().substr(0, 500).c_str());
      std::exit(1);
    }
    std::lock_guard lock(mutex_);
    if (request.response_nonce() == "update") {
      acknowledged_ = true;
      changed_.notify_all();
    } else if (++initial_ == 2) {
      std::puts("synced");
    }
  }

  const int services_;
  Response everything_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Stream* stream_ = nullptr;
  bool acknowledged_ = false;
  int initial_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: bench-discovery WORKLOADS SERVICES KEY.pem CERTIFICATE.pem\n", stderr);
    return 2;
  }
  setvbuf(stdout, nullptr, _IOLBF, 0);
  const int workloads = std::atoi(argv[1]);
  Server service(workloads, std::atoi(argv[2]));
  grpc::ServerBuilder builder;
  int port = 0;
  grpc::SslServerCredentialsOptions tls;
  tls.pem_key_cert_pairs.push_back({ReadFile(argv[3]), ReadFile(argv[4])});
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port);
  builder.RegisterService(&service);
  auto server = builder.BuildAndStart();
  std::printf("port %d\n", port);
  std::string command;
  int count = 0;
  while (std::cin >> command >> count) service.Update(count, workloads);
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}
