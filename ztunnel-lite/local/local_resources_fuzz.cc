#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ztunnel-lite/local/resources.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)ambit::local::ParseResources({reinterpret_cast<const char*>(data), size});
  return 0;
}
