#include "node-agent/cmd/request.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace ambit::cmd {
namespace {

using nlohmann::json;

bool SameKey(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// Null if the key is absent or its value is null; the last of several wins, as in Go.
const json* Member(const json& object, std::string_view key) {
  const json* found = nullptr;
  for (const auto& [name, value] : object.items()) {
    if (SameKey(name, key)) found = value.is_null() ? nullptr : &value;
  }
  return found;
}

Error WrongType(std::string_view key, const char* wanted) {
  return Error(ErrorCode::kInvalidArgument,
               "\"" + std::string(key) + "\" in the request is not " + wanted);
}

Result<json> ParseObject(std::string_view body) {
  if (body.empty()) return Fail(ErrorCode::kInvalidArgument, "the request has no body");
  json value = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return Fail(ErrorCode::kInvalidArgument, "the request is not JSON");
  if (!value.is_object()) {
    return Fail(ErrorCode::kInvalidArgument, "the request is not a JSON object");
  }
  return value;
}

// Collects fields of one object; the first error stays.
class Fields {
 public:
  explicit Fields(const json& object) : object_(object) {}

  void Text(std::string_view key, std::string& into) {
    const json* value = Member(object_, key);
    if (value == nullptr) return;
    if (const auto* text = value->get_ptr<const std::string*>()) {
      into = *text;
    } else {
      Refuse(WrongType(key, "a string"));
    }
  }
  // Any number but 0, or true.
  void Flag(std::string_view key, bool& into) {
    const json* value = Member(object_, key);
    if (value == nullptr) return;
    if (value->is_boolean()) {
      into = value->get<bool>();
    } else if (value->is_number()) {
      into = value->get<double>() != 0;
    } else {
      Refuse(WrongType(key, "a number"));
    }
  }
  void Addresses(std::string_view key, std::vector<net::IpAddress>& into) {
    const json* list = Member(object_, key);
    if (list == nullptr) return;
    if (!list->is_array()) return Refuse(WrongType(key, "a list"));
    for (const json& element : *list) {
      auto address = AddressOf(element);
      if (!address) return Refuse(address.error());
      into.push_back(*address);
    }
  }
  void Refuse(Error error) {
    if (!error_) error_ = std::move(error);
  }
  const std::optional<Error>& error() const { return error_; }

 private:
  // {"Address": {"IP": "…", "Mask": "…"}}
  static Result<net::IpAddress> AddressOf(const json& element) {
    if (!element.is_object()) return Fail(WrongType("IPs", "a list of objects"));
    const json* address = Member(element, "Address");
    if (address == nullptr || !address->is_object()) {
      return Fail(WrongType("IPs[].Address", "an object"));
    }
    const json* ip = Member(*address, "IP");
    if (ip == nullptr || !ip->is_string()) return Fail(WrongType("IPs[].Address.IP", "a string"));
    auto parsed = net::IpAddress::Parse(ip->get_ref<const std::string&>());
    if (!parsed) return Fail(WrongType("IPs[].Address.IP", "an address"));
    return parsed;
  }

  const json& object_;
  std::optional<Error> error_;
};

// xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx
bool IsRandomUid(std::string_view uid) {
  return uid.size() == 36 && uid[8] == '-' && uid[13] == '-' && uid[14] == '4' && uid[18] == '-' &&
         uid[23] == '-';
}

}  // namespace

bool MayBeSamePod(std::string_view from_runtime, std::string_view from_source) {
  return from_runtime == from_source || !IsRandomUid(from_runtime) || !IsRandomUid(from_source);
}

Result<PodRequest> ParsePodRequest(std::string_view body) {
  auto object = ParseObject(body);
  if (!object) return Fail(object.error());
  PodRequest request;
  Fields fields(*object);
  fields.Text("Netns", request.netns);
  fields.Text("PodName", request.pod_name);
  fields.Text("PodNamespace", request.pod_namespace);
  fields.Text("PodUID", request.pod_uid);
  fields.Text("ContainerID", request.container_id);
  fields.Text("IfName", request.ifname);
  fields.Flag("Ambit", request.ambit);
  fields.Addresses("IPs", request.ips);
  if (fields.error()) return Fail(*fields.error());
  return request;
}

Result<std::string> ParseToken(std::string_view body) {
  auto object = ParseObject(body);
  if (!object) return Fail(object.error());
  std::string token;
  Fields fields(*object);
  fields.Text("token", token);
  if (fields.error()) return Fail(*fields.error());
  return token;
}

Result<std::vector<Attachment>> ParseValidAttachments(std::string_view body) {
  auto object = ParseObject(body);
  if (!object) return Fail(object.error());
  const json* list = Member(*object, "ValidAttachments");
  // Without the list nothing is known to be stale; taking it for an empty one would drop every pod.
  if (list == nullptr || !list->is_array()) return Fail(WrongType("ValidAttachments", "a list"));
  std::vector<Attachment> attachments;
  for (const json& element : *list) {
    if (!element.is_object()) return Fail(WrongType("ValidAttachments", "a list of objects"));
    Attachment attachment;
    Fields fields(element);
    fields.Text("ContainerID", attachment.container_id);
    fields.Text("IfName", attachment.ifname);
    if (fields.error()) return Fail(*fields.error());
    attachments.push_back(std::move(attachment));
  }
  return attachments;
}

}  // namespace ambit::cmd
