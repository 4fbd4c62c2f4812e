#include "cni-plugin/agent_messages.h"

#include <nlohmann/json.hpp>

#include "lib/base/bytes.h"

namespace ambit::cni {
namespace {

using Json = nlohmann::ordered_json;

// Text of an answer that is quoted in an error.
constexpr size_t kMaxQuotedBytes = 300;

// The environment may hold bytes that are no UTF-8.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json Addresses(const std::vector<PodAddress>& addresses) {
  // null and not [] when there are none: what Istio's plugin sends, and its agent may compare.
  Json list;
  for (const PodAddress& address : addresses) {
    Json entry;
    entry["Interface"] = address.interface ? Json(*address.interface) : Json();
    entry["Address"] = {{"IP", address.address.ToString()}, {"Mask", Base64Encode(address.mask)}};
    entry["Gateway"] = address.gateway;
    list.push_back(std::move(entry));
  }
  return list;
}

std::unexpected<Failure> Unusable(const std::string& why) {
  return FailWith(CniCode::kTryLater, "the answer of ambit-agent is not usable: " + why,
                  "ambit-cni and ambit-agent may be of different versions");
}

Outcome<Json> ParseBody(const http1::Response& response) {
  Json json = Json::parse(response.body, nullptr, false);
  if (json.is_discarded()) return Unusable("the body is not JSON");
  if (!json.is_object()) return Unusable("the body is not a JSON object");
  return json;
}

// The "error" text of an answer that is not 200, or its body where there is no such text.
Failure ReadError(const http1::Response& response) {
  std::string status = "ambit-agent answered " + std::to_string(response.status);
  Json json = Json::parse(response.body, nullptr, false);
  Json error = json.is_object() ? json.value("error", Json()) : Json();
  Json retry = json.is_object() ? json.value("retry", Json()) : Json();
  std::string text =
      error.is_string() ? error.get<std::string>() : response.body.substr(0, kMaxQuotedBytes);
  while (text.ends_with('\n')) text.pop_back();
  if (text.empty()) text = "without saying why";
  CniCode code = CniCode::kTryLater;
  if (retry == false) code = response.status == 400 ? CniCode::kBadConfig : CniCode::kRefused;
  return Failure{code, status + ": " + text, ""};
}

Outcome<netlink::Program> ReadProgram(const Json& answer, const char* key) {
  auto found = answer.find(key);
  if (found == answer.end() || !found->is_object()) {
    return Unusable("\"" + std::string(key) + "\" is not an object");
  }
  auto program = netlink::FromJson(found->dump());
  if (!program) return Unusable("\"" + std::string(key) + "\": " + program.error().message());
  return std::move(*program);
}

Outcome<Capture> ReadCapture(const Json& answer, const std::string& token) {
  if (token.empty()) return Unusable("\"token\" is not a text");
  auto program = ReadProgram(answer, "program");
  if (!program) return std::unexpected(program.error());
  auto undo = ReadProgram(answer, "undo");
  if (!undo) return std::unexpected(undo.error());
  return Capture{token, std::move(*program), std::move(*undo)};
}

}  // namespace

std::string AddBody(const Sandbox& sandbox) {
  return Dump({{"Netns", sandbox.netns},
               {"PodName", sandbox.pod.name},
               {"PodNamespace", sandbox.pod.pod_namespace},
               {"IPs", Addresses(sandbox.addresses)},
               {"PodUID", sandbox.pod.uid},
               {"ContainerID", sandbox.container_id},
               {"IfName", sandbox.ifname},
               {"Ambit", 1}});
}

std::string DeleteBody(const Sandbox& sandbox) {
  return Dump({{"ContainerID", sandbox.container_id},
               {"IfName", sandbox.ifname},
               {"Netns", sandbox.netns},
               {"PodName", sandbox.pod.name},
               {"PodNamespace", sandbox.pod.pod_namespace},
               {"PodUID", sandbox.pod.uid}});
}

std::string TokenBody(const std::string& token) { return Dump({{"token", token}}); }

std::string GarbageBody(const std::vector<Attachment>& valid) {
  Json list = Json::array();
  for (const Attachment& attachment : valid) {
    list.push_back({{"ContainerID", attachment.container_id}, {"IfName", attachment.ifname}});
  }
  return Dump({{"ValidAttachments", std::move(list)}});
}

Outcome<AddAnswer> ReadAddAnswer(const http1::Response& response, std::string& token) {
  if (response.status != 200) return std::unexpected(ReadError(response));
  auto answer = ParseBody(response);
  if (!answer) return std::unexpected(answer.error());
  Json captured = answer->value("captured", Json());
  Json reason = answer->value("reason", Json());
  if (!captured.is_boolean()) return Unusable("\"captured\" is not true or false");
  AddAnswer result;
  if (reason.is_string()) result.reason = reason.get<std::string>();
  if (captured == false) return result;
  Json named = answer->value("token", Json());
  if (named.is_string()) token = named.get<std::string>();
  auto capture = ReadCapture(*answer, token);
  if (!capture) return std::unexpected(capture.error());
  result.capture = std::move(*capture);
  return result;
}

Outcome<CheckAnswer> ReadCheckAnswer(const http1::Response& response) {
  if (response.status != 200) return std::unexpected(ReadError(response));
  auto json = ParseBody(response);
  if (!json) return std::unexpected(json.error());
  Json captured = json->value("captured", Json());
  Json problems = json->value("problems", Json::array());
  if (!captured.is_boolean()) return Unusable("\"captured\" is not true or false");
  CheckAnswer answer{.captured = captured.get<bool>(), .problems = {}};
  if (problems.is_null()) return answer;
  if (!problems.is_array()) return Unusable("\"problems\" is not a list");
  for (const Json& problem : problems) {
    if (!problem.is_string()) return Unusable("\"problems\" is not a list of texts");
    answer.problems.push_back(problem.get<std::string>());
  }
  return answer;
}

Outcome<void> ReadPlainAnswer(const http1::Response& response) {
  if (response.status == 200) return {};
  return std::unexpected(ReadError(response));
}

Outcome<void> ReadStatusAnswer(const http1::Response& response) {
  if (response.status == 200) return {};
  Failure failure = ReadError(response);
  Json json = Json::parse(response.body, nullptr, false);
  bool impaired = json.is_object() && json.value("impaired", Json()) == true;
  failure.code = impaired ? CniCode::kImpaired : CniCode::kUnavailable;
  return std::unexpected(std::move(failure));
}

}  // namespace ambit::cni
