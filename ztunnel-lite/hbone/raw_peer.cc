#include "ztunnel-lite/hbone/raw_peer.h"

#include <sys/socket.h>

#include <array>
#include <cstdlib>

#include "ztunnel-lite/hbone/test_tunnel.h"

namespace ambit::hbone {
namespace {

constexpr size_t kFrameHeaderBytes = 9;

void AppendNumber(std::string& out, uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift));
  }
}

uint32_t ReadNumber(std::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

// RFC 7541 sections 5.1 and 5.2, without Huffman coding.
void AppendText(std::string& out, std::string_view text) {
  size_t rest = text.size();
  if (rest < 127) {
    out.push_back(static_cast<char>(rest));
  } else {
    out.push_back(127);
    for (rest -= 127; rest >= 128; rest /= 128) out.push_back(static_cast<char>(128 | rest % 128));
    out.push_back(static_cast<char>(rest));
  }
  out.append(text);
}

}  // namespace

std::string MakeFrame(uint8_t type, uint8_t flags, int32_t stream, std::string_view payload) {
  std::string frame;
  AppendNumber(frame, payload.size(), 3);
  AppendNumber(frame, type, 1);
  AppendNumber(frame, flags, 1);
  AppendNumber(frame, static_cast<uint32_t>(stream), 4);
  return frame.append(payload);
}

std::string EncodeFields(const Fields& fields) {
  std::string block;
  for (const auto& [name, value] : fields) {
    block.push_back(0x10);
    AppendText(block, name);
    AppendText(block, value);
  }
  return block;
}

std::string EncodeSettings(const std::vector<std::pair<uint16_t, uint32_t>>& settings) {
  std::string payload;
  for (const auto& [id, value] : settings) {
    AppendNumber(payload, id, 2);
    AppendNumber(payload, value, 4);
  }
  return payload;
}

std::string ConnectFrame(int32_t stream, const std::string& authority) {
  return MakeFrame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, stream,
                   EncodeFields({{":method", "CONNECT"}, {":authority", authority}}));
}

std::string ClientOpening() {
  std::string window;
  AppendNumber(window, 0x7fffffff - 65535, 4);
  return std::string(kPreface) +
         MakeFrame(NGHTTP2_SETTINGS, 0, 0,
                   EncodeSettings({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0x7fffffff}})) +
         MakeFrame(NGHTTP2_WINDOW_UPDATE, 0, 0, window) +
         MakeFrame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0);
}

RawPeer::RawPeer(UniqueFd tcp) : tcp_(std::move(tcp)) {
  SetBlocking(tcp_.get());
  nghttp2_hd_inflater* inflater = nullptr;
  nghttp2_hd_inflate_new(&inflater);
  inflater_.reset(inflater);
}

std::unique_ptr<RawPeer> RawPeer::Client(UniqueFd tcp, tls::CredentialPtr credential,
                                         const std::string& expected) {
  std::unique_ptr<RawPeer> peer(new RawPeer(std::move(tcp)));
  peer->session_ = *tls::SslSession::Client(std::move(credential), {expected}, *peer);
  peer->Handshake();
  return peer;
}

std::unique_ptr<RawPeer> RawPeer::Server(UniqueFd tcp, tls::CredentialPtr credential) {
  std::unique_ptr<RawPeer> peer(new RawPeer(std::move(tcp)));
  peer->session_ = *tls::SslSession::Server(std::move(credential), *peer);
  peer->Handshake();
  return peer;
}

void RawPeer::Append(ByteSpan records) {
  records_.append(reinterpret_cast<const char*>(records.data()), records.size());
}

bool RawPeer::Flush() {
  const std::string records = std::exchange(records_, {});
  return SendAll(tcp_.get(), records) == records.size();
}

void RawPeer::Handshake() {
  std::array<std::byte, 16384> buffer;
  while (true) {
    const auto done = session_->Handshake();
    if (!Flush() || !done) return;
    if (*done) break;
    const ssize_t size = recv(tcp_.get(), buffer.data(), buffer.size(), 0);
    if (size <= 0) return;
    session_->SetInput(ByteSpan(buffer).first(static_cast<size_t>(size)));
  }
  // What came in one piece with the end of the handshake.
  std::array<std::byte, 16384> plain;
  for (auto read = session_->Read(plain); read && *read > 0; read = session_->Read(plain)) {
    plain_.append(reinterpret_cast<const char*>(plain.data()), *read);
  }
}

bool RawPeer::Send(std::string_view bytes) {
  return session_->Write(std::as_bytes(std::span(bytes))).has_value() && Flush();
}

bool RawPeer::SendRaw(std::string_view bytes) { return SendAll(tcp_.get(), bytes) == bytes.size(); }

bool RawPeer::ReadMore() {
  std::array<std::byte, 65536> records;
  const ssize_t size = recv(tcp_.get(), records.data(), records.size(), 0);
  if (size <= 0) return false;
  session_->SetInput(ByteSpan(records).first(static_cast<size_t>(size)));
  std::array<std::byte, 16384> plain;
  while (true) {
    const auto read = session_->Read(plain);
    if (!read) return false;
    if (*read == 0) return !session_->closed();
    plain_.append(reinterpret_cast<const char*>(plain.data()), *read);
  }
}

std::string RawPeer::Receive(size_t size) {
  while (plain_.size() < size && ReadMore()) {
  }
  std::string bytes = plain_.substr(0, size);
  plain_.erase(0, size);
  return bytes;
}

std::optional<RawPeer::Frame> RawPeer::NextFrame() {
  const std::string header = Receive(kFrameHeaderBytes);
  if (header.size() < kFrameHeaderBytes) return std::nullopt;
  const std::string_view view = header;
  Frame frame;
  frame.type = static_cast<uint8_t>(header[3]);
  frame.flags = static_cast<uint8_t>(header[4]);
  frame.stream = static_cast<int32_t>(ReadNumber(view.substr(5)));
  frame.payload = Receive(ReadNumber(view.substr(0, 3)));
  if (frame.type == NGHTTP2_GOAWAY) {
    goaway_ = ReadNumber(std::string_view(frame.payload).substr(4, 4));
  }
  return frame;
}

std::optional<RawPeer::Frame> RawPeer::NextFrame(uint8_t type) {
  auto frame = NextFrame();
  while (frame && frame->type != type) frame = NextFrame();
  return frame;
}

std::optional<uint32_t> RawPeer::GoawayCode() {
  while (NextFrame()) {
  }
  return goaway_;
}

Fields RawPeer::DecodeFields(const Frame& headers) {
  Fields fields;
  std::string_view rest = headers.payload;
  while (true) {
    nghttp2_nv field;
    int flags = 0;
    const ssize_t used =
        nghttp2_hd_inflate_hd2(inflater_.get(), &field, &flags,
                               reinterpret_cast<const uint8_t*>(rest.data()), rest.size(), 1);
    if (used < 0) std::abort();
    rest.remove_prefix(static_cast<size_t>(used));
    if (flags & NGHTTP2_HD_INFLATE_EMIT) {
      fields.emplace_back(std::string(reinterpret_cast<char*>(field.name), field.namelen),
                          std::string(reinterpret_cast<char*>(field.value), field.valuelen));
    }
    if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_.get());
  return fields;
}

}  // namespace ambit::hbone
