#include "ztunnel-lite/identity/ca/ca_client.h"

#include <grpcpp/grpcpp.h>

#include <boost/asio/post.hpp>
#include <map>
#include <mutex>
#include <thread>

#include "proto/certificate.grpc.pb.h"
#include "ztunnel-lite/identity/ca/csr.h"
#include "ztunnel-lite/xds/channel.h"

namespace ambit::identity {

namespace {

using istio::v1::auth::IstioCertificateRequest;
using istio::v1::auth::IstioCertificateResponse;
using istio::v1::auth::IstioCertificateService;

constexpr auto kDeadline = std::chrono::seconds(10);

ErrorCode CodeOf(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return ErrorCode::kTimedOut;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return ErrorCode::kPermissionDenied;
    case grpc::StatusCode::INVALID_ARGUMENT:
      return ErrorCode::kInvalidArgument;
    case grpc::StatusCode::CANCELLED:
      return ErrorCode::kCancelled;
    default:
      return ErrorCode::kUnavailable;
  }
}

// One call with all that gRPC borrows while it is under way.
struct Call {
  grpc::ClientContext context;
  IstioCertificateRequest request;
  IstioCertificateResponse response;
  grpc::Status status;
  std::shared_ptr<grpc::Channel> channel;
  bool other_name_tried = false;
  std::unique_ptr<IstioCertificateService::Stub> stub;
  std::unique_ptr<grpc::ClientAsyncResponseReader<IstioCertificateResponse>> reader;
  state::Identity identity;
  std::string key_pem;
  Signer::Done done;
};

Result<tls::CredentialPtr> CredentialOf(const Call& call) {
  const auto& chain = call.response.cert_chain();
  if (chain.size() < 2) {
    return Fail(ErrorCode::kProtocol, "the CA's answer has " + std::to_string(chain.size()) +
                                          " certificate texts; a leaf and the roots are needed");
  }
  // Leaf first, then intermediates; the last text is the roots.
  std::string leaf_and_intermediates;
  for (int i = 0; i + 1 < chain.size(); ++i) {
    leaf_and_intermediates += chain[i];
    if (!leaf_and_intermediates.ends_with('\n')) leaf_and_intermediates += '\n';
  }
  auto credential = tls::Credential::Make(call.key_pem, leaf_and_intermediates,
                                          chain[chain.size() - 1], call.identity);
  if (!credential) return std::unexpected(credential.error().Wrap("the CA's answer"));
  return tls::CredentialPtr(*credential);
}

}  // namespace

class CaClient::Impl : public std::enable_shared_from_this<CaClient::Impl> {
 public:
  Impl(const config::Config& config, boost::asio::io_context& control)
      : config_(config), control_(control), options_(xds::CaChannelOptions(config)) {
    thread_ = std::thread([this] { Collect(); });
  }

  void Sign(const state::Identity& identity, Done done) {
    Ask(identity, std::move(done), /*other_name_tried=*/options_.alt_hostname.empty());
  }
  void Shutdown();

 private:
  void Ask(const state::Identity& identity, Done done, bool other_name_tried);
  Result<std::shared_ptr<Call>> Prepare(const state::Identity& identity);
  Result<std::shared_ptr<grpc::Channel>> Channel();
  void Start(std::shared_ptr<Call> call);
  void Collect();
  void Finish(Call& call);
  // The next call dials anew; with another name to expect, that one.
  void DropChannel(const std::shared_ptr<grpc::Channel>& failed);

  const config::Config& config_;
  boost::asio::io_context& control_;
  const xds::ChannelOptions options_;
  std::shared_ptr<grpc::Channel> channel_;
  std::string roots_;  // what `channel_` was made with
  xds::ServerName name_ = xds::ServerName::kFromAddress;

  bool stopped_ = false;

  // A queue and a thread of our own: gRPC 1.51 may free the shared queue of its callback interface
  // twice when the last channel that uses it goes.
  grpc::CompletionQueue queue_;
  std::mutex mutex_;
  std::map<void*, std::shared_ptr<Call>> running_;
  std::thread thread_;
};

Result<std::shared_ptr<grpc::Channel>> CaClient::Impl::Channel() {
  std::string roots;
  if (!options_.address.starts_with("http://")) {
    auto read = xds::ReadRoots(options_.root_ca);
    // A file that cannot be read just now does not end a channel that works.
    if (!read && !channel_) return std::unexpected(read.error());
    roots = read ? std::move(*read) : roots_;
  }
  if (channel_ && roots == roots_) return channel_;
  auto channel = xds::MakeChannel(options_, name_);
  if (!channel) return channel;
  roots_ = std::move(roots);
  channel_ = std::move(*channel);
  return channel_;
}

Result<std::shared_ptr<Call>> CaClient::Impl::Prepare(const state::Identity& identity) {
  auto channel = Channel();
  if (!channel) return std::unexpected(channel.error());
  auto csr = MakeSigningRequest(identity);
  if (!csr) return std::unexpected(csr.error());
  auto call = std::make_shared<Call>();
  auto headers = xds::AddHeaders(options_, call->context);
  if (!headers) return std::unexpected(headers.error());
  call->context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  call->request.set_csr(csr->csr_pem);
  call->request.set_validity_duration(
      std::chrono::duration_cast<std::chrono::seconds>(config_.secret_ttl).count());
  // A dedicated tunnel has its pod's own token and asks in its own name.
  if (!config_.dedicated) {
    (*call->request.mutable_metadata()->mutable_fields())["ImpersonatedIdentity"].set_string_value(
        identity.Uri());
  }
  call->channel = *channel;
  call->stub = IstioCertificateService::NewStub(*channel);
  call->identity = identity;
  call->key_pem = std::move(csr->key_pem);
  return call;
}

void CaClient::Impl::Ask(const state::Identity& identity, Done done, bool other_name_tried) {
  auto call = Prepare(identity);
  if (!call) {
    boost::asio::post(control_, [done = std::move(done), error = call.error()] {
      done(std::unexpected(error.Wrap("asking the CA")));
    });
    return;
  }
  (*call)->done = std::move(done);
  (*call)->other_name_tried = other_name_tried;
  Start(std::move(*call));
}

void CaClient::Impl::Start(std::shared_ptr<Call> call) {
  Call& started = *call;
  {
    std::lock_guard lock(mutex_);
    running_.emplace(&started, std::move(call));
  }
  started.reader =
      started.stub->PrepareAsyncCreateCertificate(&started.context, started.request, &queue_);
  started.reader->StartCall();
  started.reader->Finish(&started.response, &started.status, &started);
}

// Hands every call that has ended to the control thread, which also destroys it.
void CaClient::Impl::Collect() {
  void* tag = nullptr;
  bool good = false;
  while (queue_.Next(&tag, &good)) {
    std::shared_ptr<Call> call;
    {
      std::lock_guard lock(mutex_);
      auto ended = running_.extract(tag);
      call = std::move(ended.mapped());
    }
    boost::asio::post(control_,
                      [self = shared_from_this(), call = std::move(call)] { self->Finish(*call); });
  }
}

void CaClient::Impl::DropChannel(const std::shared_ptr<grpc::Channel>& failed) {
  // Several calls of one channel fail together; only the first of them changes the name.
  if (failed != channel_) return;
  channel_.reset();
  if (options_.alt_hostname.empty()) return;
  name_ = name_ == xds::ServerName::kFromAddress ? xds::ServerName::kAlternative
                                                 : xds::ServerName::kFromAddress;
}

void CaClient::Impl::Finish(Call& call) {
  const grpc::Status& status = call.status;
  if (stopped_) return;
  if (status.ok()) {
    call.done(CredentialOf(call));
    return;
  }
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    DropChannel(call.channel);
    // Which of the two names a server proves is not known before it is asked.
    if (!call.other_name_tried) return Ask(call.identity, std::move(call.done), true);
  }
  call.done(Fail(CodeOf(status.error_code()),
                 "asking the CA at " + options_.address + ": gRPC status " +
                     std::to_string(status.error_code()) + ": " + status.error_message()));
}

void CaClient::Impl::Shutdown() {
  stopped_ = true;
  {
    std::lock_guard lock(mutex_);
    for (auto& [tag, call] : running_) call->context.TryCancel();
  }
  queue_.Shutdown();
  thread_.join();
}

CaClient::CaClient(const config::Config& config, boost::asio::io_context& control)
    : impl_(std::make_shared<Impl>(config, control)) {}
CaClient::~CaClient() { impl_->Shutdown(); }
void CaClient::Sign(const state::Identity& identity, Done done) {
  impl_->Sign(identity, std::move(done));
}

}  // namespace ambit::identity
