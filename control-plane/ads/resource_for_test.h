#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control-plane/index/resource.h"

namespace ambit::ads {

inline std::shared_ptr<const index::Resource> ResourceOf(std::string name, std::string version,
                                                         std::vector<std::string> aliases = {},
                                                         std::vector<std::string> groups = {}) {
  return std::make_shared<const index::Resource>(index::Resource{
      std::move(name), std::move(version), "body", std::move(aliases), std::move(groups)});
}

}  // namespace ambit::ads
