#pragma once

#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>
#include <span>

#include "ztunnel-lite/hbone/block_pool.h"
#include "ztunnel-lite/hbone/headers.h"
#include "ztunnel-lite/hbone/tunnel.h"

// Purpose  one CONNECT stream between a tunnel's HTTP/2 session and a relay.
// Threads  the tunnel's worker.
// Bounds   to the app: at most the stream window waits here, because only what the app took is
// given
//          back to the peer; from the app: only what flow control takes back after it was offered.
namespace ambit::hbone {

class H2Session;

// What a stream needs of its tunnel.
class StreamHost {
 public:
  virtual ~StreamHost() = default;
  virtual H2Session& h2() = 0;
  // The tunnel is alive and its output has room.
  virtual bool CanProduce() const = 0;
  // Frames were submitted: encrypt them now, send them at the end of the loop turn.
  virtual void Kick() = 0;
  // Null while the tunnel lives.
  virtual const Error* failure() const = 0;
};

// The relay's side. Calls may come from inside Attach, Write, End and DeliverPending.
class StreamListener {
 public:
  virtual ~StreamListener() = default;
  // Bytes for the app; returns how many it took. What it did not take is kept, and offered again by
  // DeliverPending only.
  virtual size_t OnData(std::span<const iovec> chunks) = 0;
  // The peer ended its direction and everything before was taken.
  virtual void OnEnd() = 0;
  // Our END_STREAM is on its way.
  virtual void OnEndSent() = 0;
  // Writable() may be above zero again.
  virtual void OnWritable() = 0;
  // The peer wants no more bytes (RST_STREAM with NO_ERROR); what it sent before is still good.
  virtual void OnStopped() = 0;
  // Reset by the peer, or the tunnel is lost.
  virtual void OnReset(const Error& error) = 0;
};

struct AllStreams;
struct StalledStreams;
template <typename Tag>
using StreamHook =
    boost::intrusive::list_base_hook<boost::intrusive::tag<Tag>,
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

class Stream : public StreamHook<AllStreams>, public StreamHook<StalledStreams> {
 public:
  Stream(std::shared_ptr<StreamHost> host, BlockPool& blocks)
      : host_(std::move(host)), pending_(blocks), unsent_(blocks) {}
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // From now on the stream keeps its host alive, which its constructor may have been given without
  // a share.
  void KeepHost(std::shared_ptr<StreamHost> host) { host_ = std::move(host); }
  // Null detaches. Attaching delivers what already waits.
  void Attach(StreamListener* listener);
  // How many bytes Write takes now. At 0 OnWritable follows when that changes.
  size_t Writable();
  // At most Writable() bytes, with Worker::kHeadroomBytes before them that are overwritten.
  void Write(std::span<std::byte> payload);
  void End();
  // Offers what waits to the listener.
  void DeliverPending();
  // RST_STREAM; nothing is delivered afterwards.
  void Reset(uint32_t error_code);
  // The code for "the app's connection broke": CONNECT_ERROR from the server, CANCEL from the
  // client, whose app asked for the connection (RFC 9113 section 8.5).
  uint32_t app_error_code() const;

  // Of a client's stream that waits for its response: the timer is cancelled when there is one, or
  // when there will be none.
  void SetAnswerTimer(boost::asio::steady_timer* timer) { answer_ = timer; }
  bool answered() const { return answered_; }
  // The request (server) or response (client); given up by the stream.
  std::unique_ptr<HeaderBlock> TakeHeaders() { return std::move(headers_); }
  const HeaderBlock* headers() const { return headers_.get(); }
  uint32_t reset_code() const { return reset_code_; }

  bool end_sent() const { return end_sent_; }
  bool closed() const { return closed_; }
  size_t pending_bytes() const { return pending_.size(); }
  StreamHost& host() { return *host_; }

 private:
  friend class H2Session;
  friend class H2Callbacks;

  // Both called by the session after a batch of input.
  void Deliver(std::span<const iovec> chunks);
  void Settle();
  void OnLost(const Error& error);
  size_t Offer(std::span<const iovec> chunks);

  std::shared_ptr<StreamHost> host_;
  StreamListener* listener_ = nullptr;
  boost::asio::steady_timer* answer_ = nullptr;  // cancelled when the response is there
  std::unique_ptr<HeaderBlock> headers_;         // until the request or response was handled
  ByteQueue pending_;                            // to the app
  ByteQueue unsent_;                             // offered to flow control and taken back
  std::span<std::byte> direct_;                  // being written, in the worker's scratch
  int32_t id_ = 0;
  uint32_t reset_code_ = 0;
  int32_t first_chunk_ = -1;  // of the current batch, indices into the session's list
  int32_t last_chunk_ = -1;
  bool dirty_ = false;
  bool answered_ = false;  // response sent or received
  bool end_received_ = false;
  bool end_delivered_ = false;
  bool end_requested_ = false;
  bool end_sent_ = false;
  bool closed_ = false;  // nghttp2 knows it no longer
  bool reset_reported_ = false;
};

}  // namespace ambit::hbone
