#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/unique_fd.h"
#include "ztunnel-lite/tls/ssl_session.h"

// Purpose  one end of a tunnel under a test's control: TLS on a blocking socket, and inside it
//          whatever bytes the test wants to send.
// Threads  one.
namespace ambit::hbone {

using Fields = std::vector<std::pair<std::string, std::string>>;

inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

std::string MakeFrame(uint8_t type, uint8_t flags, int32_t stream, std::string_view payload = {});
// Literals that no HPACK table remembers.
std::string EncodeFields(const Fields& fields);
std::string EncodeSettings(const std::vector<std::pair<uint16_t, uint32_t>>& settings);
// HEADERS of a CONNECT that leaves the stream open.
std::string ConnectFrame(int32_t stream, const std::string& authority = "10.0.0.1:80");
// What a client says first: the preface, SETTINGS with the largest stream windows, the largest
// window for the connection, and that it has taken the server's SETTINGS.
std::string ClientOpening();

class RawPeer final : private tls::CipherSink {
 public:
  struct Frame {
    uint8_t type = 0;
    uint8_t flags = 0;
    int32_t stream = 0;
    std::string payload;
  };

  // Both return after the handshake; a failure of it is seen as the end by what is read next.
  static std::unique_ptr<RawPeer> Client(UniqueFd tcp, tls::CredentialPtr credential,
                                         const std::string& expected);
  static std::unique_ptr<RawPeer> Server(UniqueFd tcp, tls::CredentialPtr credential);

  // Encrypted; false: the other end is gone.
  bool Send(std::string_view bytes);
  // Below TLS.
  bool SendRaw(std::string_view bytes);
  // Decrypted; fewer at the end.
  std::string Receive(size_t size);
  // Nothing at the end.
  std::optional<Frame> NextFrame();
  // The next of that type; the others are dropped.
  std::optional<Frame> NextFrame(uint8_t type);
  // Until the end: the error code of the last GOAWAY.
  std::optional<uint32_t> GoawayCode();
  // Of HEADERS without padding; call it for each, in order.
  Fields DecodeFields(const Frame& headers);
  int fd() const { return tcp_.get(); }
  // FIN, or RST when SetResetOnClose was called.
  void CloseSocket() { tcp_.Reset(); }

 private:
  explicit RawPeer(UniqueFd tcp);
  void Handshake();
  bool ReadMore();
  bool Flush();
  void Append(ByteSpan records) override;

  struct InflaterDeleter {
    void operator()(nghttp2_hd_inflater* inflater) const { nghttp2_hd_inflate_del(inflater); }
  };

  UniqueFd tcp_;
  std::unique_ptr<tls::SslSession> session_;
  std::unique_ptr<nghttp2_hd_inflater, InflaterDeleter> inflater_;
  std::string records_;  // to be sent
  std::string plain_;    // received
  std::optional<uint32_t> goaway_;
};

}  // namespace ambit::hbone
