#include "cni-plugin/failure.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace ambit::cni {

using nlohmann::ordered_json;

std::unexpected<Failure> FailWith(CniCode code, std::string message, std::string details) {
  return std::unexpected(Failure{code, std::move(message), std::move(details)});
}

std::string RenderFailure(const Failure& failure, std::string_view cni_version) {
  ordered_json json{{"cniVersion", cni_version},
                    {"code", static_cast<int>(failure.code)},
                    {"msg", failure.message}};
  if (!failure.details.empty()) json["details"] = failure.details;
  // Messages quote the environment, which may be no UTF-8.
  return json.dump(4, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace ambit::cni
