#include "ztunnel-lite/dns/server.h"

#include <algorithm>
#include <cctype>

namespace ambit::dns {
namespace {

// Series found for one client are kept up to so many types of questions.
constexpr size_t kMaxSeries = 64;

std::string TypeText(uint16_t type) {
  std::string name(telemetry::QueryTypeName(type));
  if (name == "unknown") return "TYPE" + std::to_string(type);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
  return name;
}

}  // namespace

// Something that an answer depends on.
class Server::Work {
 public:
  explicit Work(Server& server) : server_(server) {
    if (server_.running_++ == 0) server_.host_.SetBusy(true);
  }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  ~Work() {
    if (--server_.running_ == 0) server_.host_.SetBusy(false);
  }

 private:
  Server& server_;
};

Server::Server(boost::asio::io_context& io, Host& host, Context context, Options options)
    : io_(io),
      host_(host),
      context_(context),
      options_(std::move(options)),
      session_events_{
          .take = [this](ByteSpan message,
                         std::unique_ptr<Origin> origin) { Take(message, std::move(origin)); },
          .spawn = [this](Awaitable<void> work) { host_.Spawn(std::move(work)); }},
      upstream_(io, {.pod_netns = options_.pod_netns,
                     .own_netns = options_.own_netns,
                     .mark = options_.listen.mark,
                     .deadline = options_.deadline,
                     .max_outstanding = options_.max_outstanding}),
      random_(std::random_device()()) {}

Server::~Server() = default;

Result<void> Server::ServeUdp(UniqueFd socket) {
  auto listener = std::make_unique<UdpListener>(
      io_, UdpListener::Options{.pod_netns = options_.pod_netns, .listen = options_.listen},
      session_events_.take);
  if (auto opened = listener->Open(std::move(socket)); !opened) return opened;
  udp_.push_back(std::move(listener));
  host_.Spawn(udp_.back()->Run());
  return {};
}

void Server::ServeTcp(UniqueFd accepted) {
  if (stopped_ || sessions_.size() >= options_.max_connections) return;
  auto session = std::make_shared<TcpSession>(io_, options_.session, session_events_);
  if (!session->Open(std::move(accepted))) return;
  sessions_.push_back(*session);
  host_.Spawn(session->Run());
}

void Server::BeginDrain() {
  for (const auto& listener : udp_) listener->CloseAfterLastSweep();
  std::vector<std::shared_ptr<TcpSession>> all;
  for (TcpSession& session : sessions_) all.push_back(session.shared_from_this());
  for (const auto& session : all) session->Finish();
}

void Server::Stop() {
  stopped_ = true;
  for (const auto& listener : udp_) listener->Close();
  std::vector<std::shared_ptr<TcpSession>> all;
  for (TcpSession& session : sessions_) all.push_back(session.shared_from_this());
  for (const auto& session : all) session->Close();
  upstream_.Stop();
}

void Server::Take(ByteSpan message, std::unique_ptr<Origin> origin) {
  if (stopped_) return;
  auto query = ParseQuery(message);
  if (!query) {
    if (query.error() == Fault::kMalformed) origin->Reply(EncodeFormErr(message));
    return;
  }
  auto client = host_.FindClient();
  // Only what the mesh may know depends on who asks.
  const bool may_be_ours = query->IsForAddress() && !query->name.empty();
  if (may_be_ours && !client) return TakeLater(*query, std::move(origin));
  Serve(*query, client, std::move(origin));
}

void Server::TakeLater(const Query& query, std::unique_ptr<Origin> origin) {
  if (waiting_.size() >= options_.max_waiting) return ReplyServFail(query, *origin);
  waiting_.push_back({Bytes(query.bytes.begin(), query.bytes.end()), std::move(origin)});
  if (waiting_.size() == 1) host_.Spawn(TakeWaiting());
}

boost::asio::awaitable<void> Server::TakeWaiting() {
  Work work(*this);
  auto client = co_await host_.WaitForClient();
  for (auto& [message, origin] : std::exchange(waiting_, {})) {
    if (stopped_) co_return;
    const Query query = ParseQuery(message).value();
    if (client) {
      Serve(query, client, std::move(origin));
      continue;
    }
    LogQuery(query, nullptr, "the control plane has not announced the pod", 0);
    ReplyServFail(query, *origin);
  }
}

void Server::Serve(const Query& query, const state::WorkloadPtr& client,
                   std::unique_ptr<Origin> origin) {
  auto series = FindSeries(query, *origin, client);
  if (series) series->CountRequest();
  if (client && query.IsForAddress() && ServeFromMesh(query, *client, *origin)) return;
  LogQuery(query, client.get(), "forwarded", 0);
  host_.Spawn(
      Forward(Bytes(query.bytes.begin(), query.bytes.end()), std::move(origin), std::move(series)));
}

bool Server::ServeFromMesh(const Query& query, const state::Workload& client, Origin& origin) {
  const auto family = query.type == kTypeA ? net::Family::kIpv4 : net::Family::kIpv6;
  auto resolution = Resolve(query.name, family,
                            {.ns = client.ns,
                             .network = client.network,
                             .cluster_domain = options_.cluster_domain,
                             .ipv6 = options_.ipv6,
                             .preferred_ns = options_.preferred_ns,
                             .search = options_.search},
                            context_.mesh);
  if (resolution.kind == Resolution::Kind::kForward) return false;
  const bool found = resolution.kind == Resolution::Kind::kAddresses;
  LogQuery(query, &client, found ? "success" : "no records", resolution.addresses.size());
  origin.Reply(Compose(query, resolution, origin));
  return true;
}

Bytes Server::Compose(const Query& query, Resolution& resolution, const Origin& origin) {
  auto edns = ParseEdns(query);
  if (!edns) return EncodeFormErr(query.bytes);
  const bool udp = origin.protocol() == telemetry::DnsProtocol::kUdp;
  const size_t limit = udp ? UdpLimit(*edns) : kMaxMessageBytes;
  if (*edns && (*edns)->version != 0) {
    return EncodeReply(query, {.rcode = Rcode::kBadVers}, *edns, limit);
  }
  // Clients take the first: each gets its turn.
  std::ranges::shuffle(resolution.addresses, random_);
  return EncodeReply(query,
                     {.authoritative = true,
                      .alias = std::move(resolution.alias),
                      .addresses = std::move(resolution.addresses),
                      .negative = resolution.kind == Resolution::Kind::kNoData},
                     *edns, limit);
}

void Server::ReplyServFail(const Query& query, Origin& origin) {
  auto edns = ParseEdns(query);
  origin.Reply(EncodeReply(query, {.rcode = Rcode::kServFail}, edns ? *edns : std::optional<Edns>(),
                           kPlainUdpBytes));
}

boost::asio::awaitable<void> Server::Forward(Bytes message, std::unique_ptr<Origin> origin,
                                             SeriesPtr series) {
  Work work(*this);
  const auto start = std::chrono::steady_clock::now();
  Result<Rcode> outcome = Fail(ErrorCode::kUnavailable, "no resolver is known");
  for (const auto& server : ServersFor(*origin)) {
    outcome = co_await Ask(message, server, *origin);
    // Another server only where this one is known not to listen.
    if (outcome || outcome.error().code() == ErrorCode::kTimedOut || stopped_) break;
  }
  if (stopped_) co_return;
  const bool answered = outcome && *outcome == Rcode::kNoError;
  using telemetry::DnsSeries;
  const auto end = answered ? DnsSeries::Outcome::kAnswered : DnsSeries::Outcome::kFailed;
  if (series) series->CountUpstream(std::chrono::steady_clock::now() - start, end);
  if (outcome) co_return;
  const Query query = ParseQuery(message).value();
  LogQuery(query, host_.FindClient().get(), outcome.error().message(), 0);
  ReplyServFail(query, *origin);
}

// Who came by TCP is answered by TCP from end to end, so that nothing is cut off in between; who
// came by UDP learns by the server's own TC that there is more.
boost::asio::awaitable<Result<Rcode>> Server::Ask(Bytes message, net::Endpoint server,
                                                  Origin& origin) {
  if (origin.protocol() == telemetry::DnsProtocol::kUdp) {
    auto answer = co_await upstream_.AskByUdp(std::move(message), server);
    if (!answer) co_return Fail(answer.error());
    const auto rcode = static_cast<Rcode>(ReadRcode(*answer));
    origin.Reply(std::move(*answer));
    co_return rcode;
  }
  std::optional<Rcode> rcode;
  auto done = co_await upstream_.AskByTcp(std::move(message), server, [&](Bytes answer) {
    rcode = static_cast<Rcode>(ReadRcode(answer));
    return origin.Reply(std::move(answer));
  });
  if (!done) co_return Fail(done.error());
  co_return rcode.value_or(Rcode::kServFail);
}

std::vector<net::Endpoint> Server::ServersFor(Origin& origin) {
  auto asked = origin.Asked();
  if (asked) return {*asked};
  if (asked.error().code() == ErrorCode::kCancelled) return {};
  return options_.fallback;
}

Server::SeriesPtr Server::FindSeries(const Query& query, const Origin& origin,
                                     const state::WorkloadPtr& client) {
  if (context_.meter == nullptr) return nullptr;
  if (series_client_ != client || series_.size() >= kMaxSeries) {
    series_.clear();
    series_client_ = client;
  }
  auto& series = series_[{query.type, origin.protocol()}];
  if (!series) series = context_.meter->Find(query.type, origin.protocol(), client.get());
  return series;
}

void Server::LogQuery(const Query& query, const state::Workload* client, std::string_view result,
                      size_t endpoints) const {
  constexpr std::string_view kScope = "dns";
  if (context_.log == nullptr || !context_.log->Enabled(observe::Level::kDebug, kScope)) return;
  const std::string type = TypeText(query.type);
  const std::string domain = std::string(query.name) + ".";
  context_.log->Debug(kScope, "query",
                      {{"src.workload", client ? client->name : "unknown"},
                       {"src.namespace", client ? client->ns : "unknown"},
                       {"query", type},
                       {"domain", domain},
                       {"result", result},
                       {"endpoints", static_cast<int64_t>(endpoints)}});
}

}  // namespace ambit::dns
