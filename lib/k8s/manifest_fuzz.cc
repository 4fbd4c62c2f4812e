#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/k8s/manifest.h"
#include "lib/k8s/mesh_selection.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)ambit::k8s::ParseManifest("fuzz.yaml", text);
  (void)ambit::k8s::ParseManifest("fuzz.json", text);
  (void)ambit::k8s::MeshSelection::ParseSelectors(std::string(text));
  return 0;
}
