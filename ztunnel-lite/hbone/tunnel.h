#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "ztunnel-lite/hbone/worker.h"
#include "ztunnel-lite/tls/credential.h"
#include "ztunnel-lite/tls/peer_rules.h"

// Purpose  HBONE: TCP streams over HTTP/2 CONNECT over mutual TLS 1.3, both ends.
// Threads  a tunnel, its streams and their relays live on one worker; every call is made there.
// Errors   kTimedOut: a deadline passed; kPermissionDenied: a certificate was refused, with the
// reason
//          and the peer's identity in the text; kProtocol: TLS or HTTP/2 broken by the peer;
//          kUnavailable: tunnel closed, GOAWAY, status other than 200; kIo: socket.
// Source   RFC 8446, RFC 9113 sections 6 and 8.5; docs/hbone.md.
namespace ambit::hbone {

struct Settings {
  const tls::PeerRules* peer_rules = nullptr;  // null: none; otherwise outlives the tunnel
  uint32_t stream_window_bytes = 4u << 20;
  uint32_t connection_window_bytes = 16u << 20;
  uint32_t frame_size_bytes = 1u << 20;
  uint32_t max_concurrent_streams = 200;               // server
  std::chrono::milliseconds handshake_timeout{10000};  // TLS and HTTP/2 set-up together
  std::chrono::milliseconds ping_interval{10000};      // from the last pong
  std::chrono::milliseconds ping_timeout{20000};       // no pong: the tunnel is dead
};

// Of a CONNECT request, in this order on the wire; empty optional fields are not sent.
struct ConnectRequest {
  std::string authority;
  std::string baggage;  // sent even when empty
  std::optional<std::string> forwarded;
  std::optional<std::string> traceparent;
  std::optional<std::string> x_forwarded_network;
};

struct ConnectResponse {
  int status = 0;
  std::string baggage;
};

// One CONNECT stream that carries bytes. Destroying it before its relay ended resets the stream
// (CANCEL). Made by ClientTunnel and ServerTunnel only.
class Stream;
struct StreamDeleter {
  void operator()(Stream* stream) const;
};
using StreamPtr = std::unique_ptr<Stream, StreamDeleter>;

class ClientTunnel {
 public:
  struct Opened {
    StreamPtr stream;
    ConnectResponse response;
  };

  // TLS and HTTP/2 on a TCP connection that is established; the peer must present one of
  // `expected_sans` (SPIFFE URIs; an empty list matches nobody).
  static boost::asio::awaitable<Result<std::shared_ptr<ClientTunnel>>> Establish(
      Worker& worker, UniqueFd tcp, tls::CredentialPtr credential,
      std::vector<std::string> expected_sans, Settings settings);
  // The same inside another tunnel, on a stream that its peer passes on. This tunnel ends with the
  // stream, and the stream with this tunnel.
  static boost::asio::awaitable<Result<std::shared_ptr<ClientTunnel>>> EstablishInside(
      Worker& worker, StreamPtr outer, tls::CredentialPtr credential,
      std::vector<std::string> expected_sans, Settings settings);
  virtual ~ClientTunnel() = default;

  // Sends CONNECT and waits for 200. Several calls may be under way.
  virtual boost::asio::awaitable<Result<Opened>> OpenStream(ConnectRequest request,
                                                            std::chrono::milliseconds timeout) = 0;
  // False after GOAWAY, an error or Close: no new stream can be opened.
  virtual bool usable() const = 0;
  virtual size_t active_streams() const = 0;
  // What the peer allows, after its SETTINGS; UINT32_MAX before.
  virtual uint32_t peer_max_streams() const = 0;
  virtual const std::string& peer_identity() const = 0;  // SPIFFE URI
  // GOAWAY, then the end once no stream is left.
  virtual void Close() = 0;
  // After Close: until what the tunnel was on is given back, at most `limit`. Without it the stream
  // of a tunnel inside another one is reset, which may overtake the last bytes behind the gateway.
  virtual boost::asio::awaitable<void> WaitClosed(std::chrono::milliseconds limit) = 0;
};

// What a server is asked to carry. The handler answers exactly once, by Accept or Reject.
class ConnectCall {
 public:
  virtual ~ConnectCall() = default;
  virtual const std::string& method() const = 0;
  virtual const ConnectRequest& request() const = 0;
  // HEADERS 200 without END_STREAM.
  virtual StreamPtr Accept(const std::string& baggage) = 0;
  // HEADERS with END_STREAM, no body.
  virtual void Reject(int status) = 0;
};

class ServerTunnel {
 public:
  // Runs as its own coroutine for each stream; a call destroyed unanswered is rejected with 503.
  using Handler = std::function<boost::asio::awaitable<void>(ServerTunnel& tunnel,
                                                             std::unique_ptr<ConnectCall>)>;

  // The server side of TLS and HTTP/2. Errors of the handshake name the reason: no certificate,
  // another CA, expired, another trust domain.
  static boost::asio::awaitable<Result<std::shared_ptr<ServerTunnel>>> Establish(
      Worker& worker, UniqueFd tcp, tls::CredentialPtr credential, Settings settings,
      Handler handler);
  virtual ~ServerTunnel() = default;

  // Serves until the tunnel ends; success for a clean end.
  virtual boost::asio::awaitable<Result<void>> Run() = 0;
  virtual const std::string& peer_identity() const = 0;
  virtual size_t active_streams() const = 0;
  // Two-step GOAWAY; streams that are open continue.
  virtual void StartDrain() = 0;
  // Everything ends now.
  virtual void Abort() = 0;
};

// Ends the worker's tunnels, of both sides, whose peer has been revoked by now: GOAWAY, and every
// stream fails with kPermissionDenied.
void EndRevokedTunnels(Worker& worker);

struct RelayOptions {
  // Called whenever bytes have moved, with what has moved since the last call. On the data path:
  // several times per loop turn, and after every small message.
  std::function<void(uint64_t from_app, uint64_t to_app)> on_bytes;
  // One direction has ended and the other was silent for this long; zero: no limit.
  std::chrono::milliseconds half_close_timeout{0};
};

struct RelayResult {
  uint64_t from_app = 0;
  uint64_t to_app = 0;
  // Of a relay that was asked to hand on and ended with success: the app's socket (of a plaintext
  // relay the client's and the upstream's), with what it has not read still in it.
  UniqueFd app;
  UniqueFd upstream;
  // A clean end of both directions, otherwise what ended it; a reset of the app or of the stream
  // has been passed on as a reset.
  Result<void> outcome;
};

class RunningRelay;

// Ends a relay from outside; at most one relay at a time uses it. Same thread. Without a relay both
// calls do nothing.
class RelayControl {
 public:
  RelayControl();
  ~RelayControl();
  // The relay ends with `reason`; app and stream are reset.
  void Cancel(Error reason);
  // From now on the peer's END_STREAM may mean that it hands on: the app gets no FIN for it. To be
  // said before the peer is asked to; `false` takes it back, and the FIN follows. The plaintext
  // relay has no peer.
  void ExpectHandOn(bool expected);
  // The relay ends between two bytes with its app's socket open, in RelayResult::app, so that
  // another one can go on with it: it reads no more, and what it holds arrives first.
  // Of a stream: END_STREAM follows what was read from the app, and the relay ends once the peer's
  // has come. Both ends must have agreed on it: one that does not expect it passes END_STREAM on as
  // a FIN. An app's own FIN is read again by the next relay, and a FIN sent to it twice is one. A
  // peer that never answers: Cancel. Bytes that the peer refused (RST_STREAM with NO_ERROR) are
  // lost: no socket then.
  void HandOn();

 private:
  friend struct RelayAccess;
  std::weak_ptr<RunningRelay> relay_;
};

// Copies both ways between a stream and an app's TCP socket until both directions have ended; a
// half-close is passed on each way; RST of the app becomes RST_STREAM and the reverse.
boost::asio::awaitable<RelayResult> RelayStream(Worker& worker, StreamPtr stream, UniqueFd app,
                                                RelayOptions options, RelayControl& control);

// The same between two TCP sockets, by splice(2) through pipes that only exist while bytes wait.
// `from_app` counts client to upstream.
boost::asio::awaitable<RelayResult> RelayPlain(Worker& worker, UniqueFd client, UniqueFd upstream,
                                               RelayOptions options, RelayControl& control);

}  // namespace ambit::hbone
