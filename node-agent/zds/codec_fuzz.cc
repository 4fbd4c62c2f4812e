#include <cstddef>
#include <cstdint>

#include "node-agent/zds/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ambit::ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  (void)ambit::zds::DecodeHello(bytes);
  (void)ambit::zds::DecodeAck(bytes);
  return 0;
}
