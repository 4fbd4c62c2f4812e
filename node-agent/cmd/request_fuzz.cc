#include <cstddef>
#include <cstdint>
#include <string_view>

#include "node-agent/cmd/request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view body(reinterpret_cast<const char*>(data), size);
  (void)ambit::cmd::ParsePodRequest(body);
  (void)ambit::cmd::ParseToken(body);
  (void)ambit::cmd::ParseValidAttachments(body);
  return 0;
}
