#include "ztunnel-lite/hbone/headers.h"

#include <charconv>

namespace ambit::hbone {
namespace {

// RFC 9113 section 6.5.2.
constexpr size_t kFieldOverheadBytes = 32;

nghttp2_nv Field(std::string_view name, std::string_view value, uint8_t flags) {
  // nghttp2 takes pointers to non-const and copies.
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          flags};
}

}  // namespace

std::vector<nghttp2_nv> ToHeaderList(const ConnectRequest& request) {
  // What differs from stream to stream would only push the useful entries out of the HPACK table.
  constexpr uint8_t kIndexed = NGHTTP2_NV_FLAG_NONE;
  constexpr uint8_t kUnindexed = NGHTTP2_NV_FLAG_NO_INDEX;
  std::vector<nghttp2_nv> list;
  list.reserve(6);
  list.push_back(Field(":method", "CONNECT", kIndexed));
  list.push_back(Field(":authority", request.authority, kIndexed));
  list.push_back(Field("baggage", request.baggage, kIndexed));
  if (request.forwarded) list.push_back(Field("forwarded", *request.forwarded, kUnindexed));
  if (request.traceparent) list.push_back(Field("traceparent", *request.traceparent, kUnindexed));
  if (request.x_forwarded_network) {
    list.push_back(Field("x-forwarded-network", *request.x_forwarded_network, kIndexed));
  }
  return list;
}

void HeaderBlock::Add(std::string_view name, std::string_view value) {
  size_bytes_ += name.size() + value.size() + kFieldOverheadBytes;
  if (oversize()) return;
  if (name == ":method") {
    method_ = value;
  } else if (name == ":authority") {
    request_.authority = value;
  } else if (name == ":status") {
    std::from_chars(value.data(), value.data() + value.size(), status_);
  } else if (name == "baggage") {
    // Repeated lines are one list (RFC 9110 section 5.3).
    if (has_baggage_) request_.baggage += ',';
    request_.baggage += value;
    has_baggage_ = true;
  } else if (name == "forwarded") {
    request_.forwarded = value;
  } else if (name == "traceparent") {
    request_.traceparent = value;
  } else if (name == "x-forwarded-network") {
    request_.x_forwarded_network = value;
  }
}

}  // namespace ambit::hbone
