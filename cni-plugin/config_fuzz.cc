#include <cstddef>
#include <cstdint>
#include <string_view>

#include "cni-plugin/config.h"
#include "cni-plugin/pod_args.h"
#include "cni-plugin/prev_result.h"

// Standard input of the plugin: whatever parses must render again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)ambit::cni::ParsePodArgs(text);
  auto config = ambit::cni::ParseConfig(text);
  if (config && ambit::cni::ReadAddresses(*config)) (void)ambit::cni::RenderResult(*config);
  return 0;
}
