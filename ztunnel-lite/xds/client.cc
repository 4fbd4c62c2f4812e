#include "ztunnel-lite/xds/client.h"

#include <malloc.h>

#include <boost/asio/post.hpp>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "proto/discovery.grpc.pb.h"
#include "ztunnel-lite/xds/backoff.h"
#include "ztunnel-lite/xds/channel.h"
#include "ztunnel-lite/xds/node.h"
#include "ztunnel-lite/xds/subscription.h"

namespace ambit::xds {

namespace {

using envoy::service::discovery::v3::AggregatedDiscoveryService;
using Stream = grpc::ClientReaderWriter<Request, Response>;

constexpr char kScope[] = "xds";
// From here on an answer is a whole mesh, and what its decoding took is worth giving back.
constexpr size_t kLargeAnswerBytes = 1 << 20;

struct Metrics {
  explicit Metrics(prometheus::Registry& registry)
      : terminations(prometheus::BuildCounter()
                         .Name("istio_xds_connection_terminations_total")
                         .Help("The total number of completed connections to xds server "
                               "(unstable).")
                         .Register(registry)),
        messages(prometheus::BuildCounter()
                     .Name("istio_xds_message_total")
                     .Help("Total number of messages received (unstable).")
                     .Register(registry)),
        bytes(prometheus::BuildCounter()
                  .Name("istio_xds_message_bytes_total")
                  .Help("Total number of bytes received (unstable).")
                  .Register(registry)) {}

  void Ended(const char* reason) { terminations.Add({{"reason", reason}}).Increment(); }
  void Received(const Response& response) {
    size_t size = 0;
    for (const auto& resource : response.resources()) size += resource.resource().value().size();
    messages.Add({{"url", response.type_url()}}).Increment();
    bytes.Add({{"url", response.type_url()}}).Increment(static_cast<double>(size));
  }

  prometheus::Family<prometheus::Counter>& terminations;
  prometheus::Family<prometheus::Counter>& messages;
  prometheus::Family<prometheus::Counter>& bytes;
};

// What the client's thread, its owner and updates that still wait on the control thread share.
struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;
  grpc::ClientContext* call = nullptr;  // the stream under way
};

}  // namespace

class Client::Impl {
 public:
  Impl(Context context, envoy::service::discovery::v3::Node node, std::function<void()> on_synced)
      : context_(context),
        options_(XdsChannelOptions(context.config)),
        subscription_(std::move(node)),
        metrics_(context.metrics),
        on_synced_(std::move(on_synced)),
        thread_([this] { Run(); }) {}

  ~Impl() {
    {
      std::lock_guard lock(gate_->mutex);
      gate_->stopping = true;
      if (gate_->call != nullptr) gate_->call->TryCancel();
    }
    gate_->changed.notify_all();
    thread_.join();
  }

 private:
  void Run();
  // One connection from dialling to its end; the reason of the end, empty if we stop.
  Result<void> Serve();
  // Whether the next attempt comes without a pause, with the other name to expect.
  bool TryOtherName();
  bool Receive(Stream& stream);
  bool Apply(Update update);
  bool Stopping() const {
    std::lock_guard lock(gate_->mutex);
    return gate_->stopping;
  }

  const Context context_;
  const ChannelOptions options_;
  Subscription subscription_;
  Metrics metrics_;
  std::function<void()> on_synced_;
  Backoff backoff_{Backoff::Options()};
  ServerName name_ = ServerName::kFromAddress;
  bool unreached_ = false;         // by the attempt that has ended last
  bool other_name_tried_ = false;  // since the server was reached or the last pause
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::thread thread_;  // last: it uses all of the above
};

void Client::Impl::Run() {
  for (;;) {
    auto served = Serve();
    if (Stopping()) return;
    auto delay = TryOtherName() ? std::chrono::milliseconds(0) : backoff_.Next();
    if (!served) {
      std::string when = std::to_string(delay.count()) + "ms";
      context_.log.Warn(kScope, "connection to the control plane ended",
                        {{"address", observe::Bare{options_.address}},
                         {"error", served.error().message()},
                         {"retry_in", observe::Bare{when}}});
    }
    std::unique_lock lock(gate_->mutex);
    if (gate_->changed.wait_for(lock, delay, [this] { return gate_->stopping; })) return;
  }
}

// Which of the two names the server proves is not known before it is asked; one that was reached is
// asked by the same name again.
bool Client::Impl::TryOtherName() {
  if (options_.alt_hostname.empty() || !unreached_) return false;
  name_ = name_ == ServerName::kFromAddress ? ServerName::kAlternative : ServerName::kFromAddress;
  other_name_tried_ = !other_name_tried_;
  return other_name_tried_;
}

Result<void> Client::Impl::Serve() {
  unreached_ = false;
  auto channel = MakeChannel(options_, name_);
  if (!channel) return std::unexpected(channel.error());
  grpc::ClientContext call;
  auto headers = AddHeaders(options_, call);
  if (!headers) return headers;
  {
    std::lock_guard lock(gate_->mutex);
    if (gate_->stopping) return {};
    gate_->call = &call;
  }
  auto stub = AggregatedDiscoveryService::NewStub(*channel);
  auto stream = stub->DeltaAggregatedResources(&call);
  bool open = true;
  for (const Request& request : subscription_.Open()) open = open && stream->Write(request);
  bool answered = false;
  while (open && Receive(*stream)) answered = true;
  grpc::Status status = stream->Finish();
  {
    std::lock_guard lock(gate_->mutex);
    gate_->call = nullptr;
  }
  if (answered) backoff_.Reset();
  unreached_ = !answered && status.error_code() == grpc::StatusCode::UNAVAILABLE;
  if (!unreached_) other_name_tried_ = false;
  if (status.ok()) {
    metrics_.Ended("Complete");
    return {};
  }
  metrics_.Ended(answered ? "Error" : "ConnectionError");
  return Fail(ErrorCode::kUnavailable,
              "gRPC status " + std::to_string(status.error_code()) + ": " + status.error_message());
}

bool Client::Impl::Receive(Stream& stream) {
  Response response;
  if (!stream.Read(&response)) return false;
  metrics_.Received(response);
  Subscription::Handled handled = subscription_.Handle(response);
  if (!handled.rejected.empty()) {
    context_.log.Warn(kScope, "resources rejected",
                      {{"type", observe::Bare{response.type_url()}}, {"error", handled.rejected}});
  }
  if (!Apply(std::move(handled.update))) return false;
  if (response.ByteSizeLong() >= kLargeAnswerBytes) {
    // It needs several times its size on its way into the mesh, which the allocator would keep for
    // answers of that size, of which there are no more.
    response = Response();
    malloc_trim(0);
  }
  if (!stream.Write(handled.reply)) return false;
  if (on_synced_ && subscription_.synced()) {
    context_.log.Info(kScope, "synchronised with the control plane");
    boost::asio::post(context_.control, std::exchange(on_synced_, nullptr));
  }
  return true;
}

// Waits until the control thread has applied it, so that an acknowledged resource is in use and at
// most one answer is held in memory.
bool Client::Impl::Apply(Update update) {
  auto applied = std::make_shared<bool>(false);
  boost::asio::post(context_.control, [update = std::move(update), &mesh = context_.mesh,
                                       gate = gate_, applied]() mutable {
    update.ApplyTo(mesh);
    update = Update();
    {
      std::lock_guard lock(gate->mutex);
      *applied = true;
    }
    gate->changed.notify_all();
  });
  std::unique_lock lock(gate_->mutex);
  gate_->changed.wait(lock, [&] { return *applied || gate_->stopping; });
  return *applied;
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::Start(Context context, std::function<void()> on_synced) {
  auto node = MakeNode(context.config);
  if (!node) return std::unexpected(node.error());
  return std::unique_ptr<Client>(
      new Client(std::make_unique<Impl>(context, std::move(*node), std::move(on_synced))));
}

}  // namespace ambit::xds
