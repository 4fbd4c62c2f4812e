#include "lib/k8s/manifest.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "lib/k8s/yaml_json.h"

namespace ambit::k8s {
namespace {

Result<std::vector<std::string>> DocumentsOf(std::string_view file_name, std::string_view text) {
  if (file_name.ends_with(".json")) return std::vector<std::string>{std::string(text)};
  return YamlToJson(text);
}

}  // namespace

bool IsManifestName(std::string_view file_name) {
  if (file_name.starts_with('.')) return false;
  return file_name.ends_with(".yaml") || file_name.ends_with(".yml") ||
         file_name.ends_with(".json");
}

Result<ObjectsRead> ParseManifest(std::string_view file_name, std::string_view text) {
  if (text.size() > kMaxManifestBytes) {
    return Fail(ErrorCode::kResourceExhausted, std::string(file_name) + ": larger than " +
                                                   std::to_string(kMaxManifestBytes) +
                                                   " bytes; split it into several files");
  }
  auto documents = DocumentsOf(file_name, text);
  if (!documents) return Fail(documents.error().Wrap(file_name));
  ObjectsRead all;
  for (size_t i = 0; i < documents->size(); ++i) {
    auto one = ReadObjects((*documents)[i]);
    if (!one) {
      return Fail(one.error().Wrap(std::string(file_name) + ": document " + std::to_string(i + 1)));
    }
    std::ranges::move(one->objects, std::back_inserter(all.objects));
    std::ranges::move(one->ignored, std::back_inserter(all.ignored));
  }
  return all;
}

}  // namespace ambit::k8s
