#include <cstdlib>

#include "lib/netlink/program.h"

// Whatever is accepted obeys the bounds and survives a round trip.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto program = ambit::netlink::FromJson(text);
  if (!program) return 0;
  auto again = ambit::netlink::FromJson(ambit::netlink::ToJson(*program));
  if (!again || !(*again == *program)) std::abort();
  return 0;
}
