#pragma once

#include <nghttp2/nghttp2.h>

#include <boost/intrusive/list.hpp>
#include <memory>
#include <vector>

#include "lib/base/bytes.h"
#include "ztunnel-lite/hbone/ended_streams.h"
#include "ztunnel-lite/hbone/flood_guard.h"
#include "ztunnel-lite/hbone/stream.h"

// Purpose  HTTP/2 of one tunnel without I/O: frames in, frames out, streams between.
// Threads  the tunnel's worker.
// Errors   kProtocol: the peer broke HTTP/2 or floods us; the GOAWAY for it is ready to be sent.
// Source   RFC 9113.
namespace ambit::hbone {

// Where frames go, in order; whatever is written is contiguous.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  virtual bool HasRoom() const = 0;
  // False: nothing more can be sent.
  virtual bool WriteFrames(ByteSpan frames) = 0;
};

// What the session tells its tunnel. Called while input is parsed: no call back into the session.
class H2Events {
 public:
  virtual ~H2Events() = default;
  // A stream object for a request that begins (server). The session owns it until the next event,
  // so it does not keep the tunnel alive.
  virtual StreamPtr MakeStream() = 0;
  // Its header list is complete (server).
  virtual void OnRequest(StreamPtr stream) = 0;
  virtual void OnPong(uint64_t payload) = 0;
  virtual void OnPeerSettings() = 0;
  virtual void OnGoaway(uint32_t error_code) = 0;
  virtual std::chrono::steady_clock::time_point Now() const = 0;
};

class H2Session {
 public:
  enum class Role { kClient, kServer };

  // SETTINGS and the window update of the connection wait to be sent.
  H2Session(Role role, const Settings& settings, H2Events& events);
  ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  // Parses; payload is remembered by address until Dispatch.
  Result<void> Receive(ByteSpan frames);
  // Hands the payload of the last Receive to its streams.
  void Dispatch();
  // Lets streams continue that were stopped by flow control or by a full output. The worker's
  // scratch is free to be overwritten.
  void WakeStalled();
  bool wake_needed() const { return wake_needed_; }
  // Serializes what is ready while the sink has room.
  Result<void> Pump(FrameSink& sink);

  Result<void> SubmitConnect(const ConnectRequest& request, Stream& stream);
  void Accept(Stream& stream, const std::string& baggage);
  void Reject(Stream& stream, int status);
  void Ping(uint64_t payload);
  // The announcement of a drain: GOAWAY that still lets streams through.
  void AnnounceShutdown();
  // GOAWAY with the last stream that was taken; open streams continue.
  void Shutdown();
  // GOAWAY, everything else is dropped.
  void Terminate(uint32_t error_code);
  // Forgets the request whose header block has begun and not ended.
  void DropIncoming() { incoming_.reset(); }
  // The tunnel is gone: every stream is told.
  void LoseAll(const Error& error);

  Role role() const { return role_; }
  bool accepts_requests() const;
  // Neither side has anything more to say.
  bool finished() const;
  size_t active_streams() const { return active_; }
  uint32_t peer_max_streams() const;

  // For Stream.
  size_t SendWindow(const Stream& stream) const;
  void Resume(Stream& stream);
  void Consume(const Stream& stream, size_t bytes);
  void Reset(Stream& stream, uint32_t error_code);
  void Stall(Stream& stream);
  void Forget(Stream& stream);

 private:
  friend class H2Callbacks;
  struct Chunk {
    iovec bytes;
    int32_t next;
  };
  template <typename Tag>
  using StreamList = boost::intrusive::list<Stream, boost::intrusive::base_hook<StreamHook<Tag>>,
                                            boost::intrusive::constant_time_size<false>>;

  void SubmitSettings(const Settings& settings);
  void NoteBroken(const nghttp2_goaway& goaway);
  void MarkDirty(Stream& stream);
  void MarkClosed(Stream& stream);
  void DispatchTo(Stream& stream);
  bool Stage(ByteSpan frames);
  bool FlushStage();
  Result<void> Check(ssize_t result, const char* doing);

  const Role role_;
  const size_t header_limit_bytes_;
  H2Events& events_;
  nghttp2_session* session_ = nullptr;
  StreamPtr incoming_;  // whose header block is being received
  StreamList<AllStreams> streams_;
  StreamList<StalledStreams> stalled_;
  std::vector<Stream*> dirty_;
  std::vector<Chunk> chunks_;
  size_t active_ = 0;
  bool wake_needed_ = false;
  bool peer_settings_seen_ = false;
  FrameSink* sink_ = nullptr;   // during Pump
  std::span<std::byte> stage_;  // during Pump
  size_t staged_ = 0;
  std::string detail_;           // nghttp2's own words on the last fault
  std::string broken_;           // what the GOAWAY of an error said
  size_t header_bytes_ = 0;      // of the block being received, encoded and decoded
  const char* flood_ = nullptr;  // what the peer floods us with
  FloodGuard unanswered_resets_;
  FloodGuard provoked_resets_;
  FloodGuard control_frames_;
  EndedStreams ended_;  // server
};

}  // namespace ambit::hbone
