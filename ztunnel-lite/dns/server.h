#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/unique_fd.h"
#include "lib/observe/log.h"
#include "ztunnel-lite/dns/listeners.h"
#include "ztunnel-lite/dns/message.h"
#include "ztunnel-lite/dns/origin.h"
#include "ztunnel-lite/dns/resolve.h"
#include "ztunnel-lite/dns/tcp_session.h"
#include "ztunnel-lite/dns/udp_listener.h"
#include "ztunnel-lite/dns/upstream.h"
#include "ztunnel-lite/state/mesh_state.h"
#include "ztunnel-lite/telemetry/dns_meter.h"

// Purpose  the DNS proxy of one pod on one worker: what the mesh knows is answered at once, all
// else
//          goes unchanged to the resolver that the pod asked.
// Threads  one worker, which also makes and destroys it. No thread and no timer of its own while
//          nothing is under way.
// Bounds   questions without an answer, waiting for the pod's workload, TCP connections, questions
//          of one connection; beyond them the answer is SERVFAIL at once.
// Log      scope dns, one line a question, level debug.
// Metrics  telemetry/dns_meter.h.
namespace ambit::dns {

// The pod on its worker, as the proxy needs it. Outlives the server and what it spawns.
class Host {
 public:
  virtual ~Host() = default;
  // Runs it on the worker; keeps the host until it has ended.
  virtual void Spawn(boost::asio::awaitable<void> work) = 0;
  // The pod's own workload; null while the control plane has not announced it.
  virtual state::WorkloadPtr FindClient() = 0;
  // The same, waited for; null after a deadline or once the pod is stopped.
  virtual boost::asio::awaitable<state::WorkloadPtr> WaitForClient() = 0;
  // Whether a question is under way.
  virtual void SetBusy(bool busy) = 0;
};

class Server {
 public:
  struct Options {
    std::string cluster_domain = "cluster.local";
    bool ipv6 = true;
    std::string preferred_ns{};
    std::vector<std::string> search{};  // empty: a pod's
    int pod_netns = -1;                 // borrowed
    int own_netns = -1;                 // borrowed: the worker's, to return to
    ListenOptions listen{};
    // Who is asked where it is not known whom the pod asked.
    std::vector<net::Endpoint> fallback{};
    std::chrono::milliseconds deadline{5000};
    size_t max_outstanding = 512;
    size_t max_waiting = 128;
    size_t max_connections = 128;
    TcpSession::Options session{};
  };
  // What it uses; all of it outlives the server.
  struct Context {
    const state::MeshState& mesh;
    telemetry::DnsMeter* meter = nullptr;  // null: not counted
    observe::Log* log = nullptr;           // null: not said
  };
  Server(boost::asio::io_context& io, Host& host, Context context, Options options);
  ~Server();

  // Serves a socket made by BindListeners(). Errors  kIo.
  Result<void> ServeUdp(UniqueFd socket);
  void ServeTcp(UniqueFd accepted);
  // New questions go to a successor; those under way are still answered.
  void BeginDrain();
  // Everything ends now.
  void Stop();

 private:
  template <typename T>
  using Awaitable = boost::asio::awaitable<T>;
  using SeriesPtr = std::shared_ptr<telemetry::DnsSeries>;
  struct Waiting {
    Bytes message;
    std::unique_ptr<Origin> origin;
  };
  class Work;

  void Take(ByteSpan message, std::unique_ptr<Origin> origin);
  void TakeLater(const Query& query, std::unique_ptr<Origin> origin);
  Awaitable<void> TakeWaiting();
  void Serve(const Query& query, const state::WorkloadPtr& client, std::unique_ptr<Origin> origin);
  // False: the mesh has no answer.
  bool ServeFromMesh(const Query& query, const state::Workload& client, Origin& origin);
  Bytes Compose(const Query& query, Resolution& resolution, const Origin& origin);
  Awaitable<void> Forward(Bytes message, std::unique_ptr<Origin> origin, SeriesPtr series);
  Awaitable<Result<Rcode>> Ask(Bytes message, net::Endpoint server, Origin& origin);
  std::vector<net::Endpoint> ServersFor(Origin& origin);
  void ReplyServFail(const Query& query, Origin& origin);
  SeriesPtr FindSeries(const Query& query, const Origin& origin, const state::WorkloadPtr& client);
  void LogQuery(const Query& query, const state::Workload* client, std::string_view result,
                size_t endpoints) const;

  boost::asio::io_context& io_;
  Host& host_;
  const Context context_;
  const Options options_;
  const TcpSession::Events session_events_;
  Upstream upstream_;
  std::vector<std::unique_ptr<UdpListener>> udp_;
  boost::intrusive::list<TcpSession, boost::intrusive::constant_time_size<false>> sessions_;
  std::vector<Waiting> waiting_;
  std::map<std::pair<uint16_t, telemetry::DnsProtocol>, SeriesPtr> series_;
  state::WorkloadPtr series_client_;  // whom they are of
  std::minstd_rand random_;           // the order of addresses
  size_t running_ = 0;
  bool stopped_ = false;
};

}  // namespace ambit::dns
