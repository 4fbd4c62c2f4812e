#pragma once

#include <nghttp2/nghttp2.h>

#include <string>
#include <string_view>
#include <vector>

#include "ztunnel-lite/hbone/tunnel.h"

// Purpose  the header lists of HBONE as nghttp2 wants them and as it delivers them.
// Threads  values.
namespace ambit::hbone {

// Borrows from `request`.
std::vector<nghttp2_nv> ToHeaderList(const ConnectRequest& request);

// One header block on its way in. What HBONE does not use is dropped; the size counts as RFC 9113
// section 6.5.2 says.
class HeaderBlock {
 public:
  explicit HeaderBlock(size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  void Add(std::string_view name, std::string_view value);
  bool oversize() const { return size_bytes_ > limit_bytes_; }
  const std::string& method() const { return method_; }
  const ConnectRequest& request() const { return request_; }
  // 0: absent or no number.
  int status() const { return status_; }
  const std::string& baggage() const { return request_.baggage; }

 private:
  size_t limit_bytes_;
  size_t size_bytes_ = 0;
  std::string method_;
  int status_ = 0;
  bool has_baggage_ = false;
  ConnectRequest request_;
};

}  // namespace ambit::hbone
