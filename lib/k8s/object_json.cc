#include "lib/k8s/object_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "lib/base/bytes.h"

namespace ambit::k8s {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 64;

// Keeps the first problem of an object, so that readers can go on and be short.
struct Problem {
  std::string text;
  void Set(const std::string& path, const std::string& what) {
    if (text.empty()) text = path + " " + what;
  }
};

// A field with its path. A field that is absent or null has the fallback of whoever asks.
class Field {
 public:
  Field(const json* value, std::string path, Problem& problem)
      : value_(value != nullptr && value->is_null() ? nullptr : value),
        path_(std::move(path)),
        problem_(problem) {}

  bool present() const { return value_ != nullptr; }
  const std::string& path() const { return path_; }
  void Refuse(const std::string& what) const { problem_.Set(path_, what); }

  Field At(const char* key) const {
    std::string path = path_.empty() ? key : path_ + "." + key;
    if (!Is(json::value_t::object, "an object")) return {nullptr, std::move(path), problem_};
    auto found = value_->find(key);
    return {found == value_->end() ? nullptr : &*found, std::move(path), problem_};
  }

  std::vector<Field> Items() const {
    std::vector<Field> items;
    if (!Is(json::value_t::array, "a list")) return items;
    for (size_t i = 0; i < value_->size(); ++i) {
      items.emplace_back(&(*value_)[i], path_ + "[" + std::to_string(i) + "]", problem_);
    }
    return items;
  }

  std::string Text(std::string fallback = "") const {
    if (!Is(json::value_t::string, "a string; quote it")) return fallback;
    return value_->get_ref<const std::string&>();
  }

  bool Flag() const { return Is(json::value_t::boolean, "true or false") && value_->get<bool>(); }

  bool IsText() const { return present() && value_->is_string(); }

  uint16_t Port(uint16_t fallback = 0) const {
    if (!present()) return fallback;
    // Not get<uint16_t>: that would cut a large number down to a valid one.
    if (value_->is_number_unsigned()) {
      auto number = value_->get<uint64_t>();
      if (number >= 1 && number <= 65535) return static_cast<uint16_t>(number);
    }
    Refuse("is not a port between 1 and 65535");
    return fallback;
  }

  StringMap Map() const {
    StringMap map;
    if (!Is(json::value_t::object, "an object")) return map;
    for (const auto& [key, value] : value_->items()) {
      map[key] = Field(&value, path_ + "[\"" + key + "\"]", problem_).Text();
    }
    return map;
  }

  std::optional<net::IpAddress> Address() const {
    std::string text = Text();
    if (text.empty()) return std::nullopt;
    auto address = net::IpAddress::Parse(text);
    if (address) return *address;
    Refuse("is not an IP address: \"" + text + "\"");
    return std::nullopt;
  }

 private:
  bool Is(json::value_t type, const char* wanted) const {
    if (!present()) return false;
    if (value_->type() == type) return true;
    Refuse(std::string("is a ") + value_->type_name() + ", not " + wanted);
    return false;
  }

  const json* value_;
  std::string path_;
  Problem& problem_;
};

// What DNS labels and subdomains are made of. Refusing all else also keeps names harmless wherever
// they are written: logs, resource names, paths.
bool IsName(std::string_view name) {
  auto ok = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  return !name.empty() && name.size() <= 253 && std::ranges::all_of(name, ok);
}

std::string NameOf(const Field& field, const std::string& fallback = "") {
  std::string name = field.Text(fallback);
  if (!IsName(name)) {
    field.Refuse("must be a Kubernetes name (a-z, 0-9, '-', '.'), not \"" + name + "\"");
  }
  return name;
}

std::string UidOf(const Field& field, const Pod& pod) {
  std::string uid = field.Text();
  if (uid.empty()) return DerivedUid(pod.namespace_name, pod.name);
  auto ok = [](char c) { return IsName({&c, 1}) || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (uid.size() > 64 || !std::ranges::all_of(uid, ok)) field.Refuse("is not a uid");
  return uid;
}

PodPhase PhaseOf(const Field& field) {
  std::string text = field.Text("Pending");
  if (text == "Pending") return PodPhase::kPending;
  if (text == "Running") return PodPhase::kRunning;
  if (text == "Succeeded") return PodPhase::kSucceeded;
  if (text == "Failed") return PodPhase::kFailed;
  if (text != "Unknown") field.Refuse("is no pod phase: \"" + text + "\"");
  return PodPhase::kUnknown;
}

bool IsTcp(const Field& port) { return port.At("protocol").Text("TCP") == "TCP"; }

void ReadContainerPorts(const Field& containers, std::vector<ContainerPort>& out) {
  for (const Field& container : containers.Items()) {
    for (const Field& port : container.At("ports").Items()) {
      uint16_t number = port.At("containerPort").Port();
      if (!port.At("containerPort").present()) port.Refuse("has no containerPort");
      if (IsTcp(port)) out.push_back({port.At("name").Text(), number});
    }
  }
}

void ReadPodStatus(const Field& status, Pod& pod) {
  for (const Field& item : status.At("podIPs").Items()) {
    if (auto ip = item.At("ip").Address()) pod.ips.push_back(*ip);
  }
  if (auto ip = status.At("podIP").Address(); ip && pod.ips.empty()) pod.ips.push_back(*ip);
  pod.phase = PhaseOf(status.At("phase"));
  auto conditions = status.At("conditions").Items();
  if (conditions.empty()) return;
  pod.ready = std::ranges::any_of(conditions, [](const Field& condition) {
    return condition.At("type").Text() == "Ready" && condition.At("status").Text() == "True";
  });
}

Pod ReadPod(const Field& root) {
  Field metadata = root.At("metadata");
  Field spec = root.At("spec");
  Pod pod;
  pod.name = NameOf(metadata.At("name"));
  pod.namespace_name = NameOf(metadata.At("namespace"), "default");
  pod.uid = UidOf(metadata.At("uid"), pod);
  pod.labels = metadata.At("labels").Map();
  pod.annotations = metadata.At("annotations").Map();
  for (const Field& owner : metadata.At("ownerReferences").Items()) {
    if (!owner.At("controller").Flag()) continue;
    pod.owner_kind = owner.At("kind").Text();
    pod.owner_name = owner.At("name").Text();
  }
  // "serviceAccount" is the deprecated alias, which the API server still fills in.
  for (const char* key : {"serviceAccount", "serviceAccountName"}) {
    if (!spec.At(key).Text().empty()) pod.service_account = NameOf(spec.At(key));
  }
  pod.node_name = spec.At("nodeName").Text();
  if (!pod.node_name.empty()) NameOf(spec.At("nodeName"));
  pod.host_network = spec.At("hostNetwork").Flag();
  ReadContainerPorts(spec.At("containers"), pod.ports);
  // Init containers that restart always are sidecars and serve like any other.
  ReadContainerPorts(spec.At("initContainers"), pod.ports);
  ReadPodStatus(root.At("status"), pod);
  return pod;
}

std::vector<net::IpAddress> ReadClusterIps(const Field& spec) {
  std::vector<net::IpAddress> ips;
  std::vector<Field> fields = spec.At("clusterIPs").Items();
  if (fields.empty()) fields.push_back(spec.At("clusterIP"));
  for (const Field& field : fields) {
    if (field.Text() == "None") continue;
    if (auto ip = field.Address()) ips.push_back(*ip);
  }
  return ips;
}

Service ReadService(const Field& root) {
  Field metadata = root.At("metadata");
  Field spec = root.At("spec");
  Service service;
  service.name = NameOf(metadata.At("name"));
  service.namespace_name = NameOf(metadata.At("namespace"), "default");
  service.labels = metadata.At("labels").Map();
  service.annotations = metadata.At("annotations").Map();
  service.selector = spec.At("selector").Map();
  service.cluster_ips = ReadClusterIps(spec);
  service.publish_not_ready_addresses = spec.At("publishNotReadyAddresses").Flag();
  for (const Field& item : spec.At("ports").Items()) {
    ServicePort port{item.At("name").Text(), item.At("port").Port(), uint16_t{0}};
    if (!item.At("port").present()) item.Refuse("has no port");
    Field target = item.At("targetPort");
    if (target.IsText()) {
      port.target_port = target.Text();
    } else {
      port.target_port = target.Port(port.port);
    }
    if (IsTcp(item)) service.ports.push_back(std::move(port));
  }
  return service;
}

Namespace ReadNamespace(const Field& root) {
  Field metadata = root.At("metadata");
  return {NameOf(metadata.At("name")), metadata.At("labels").Map(),
          metadata.At("annotations").Map()};
}

std::string TitleOf(const Field& root, const std::string& kind) {
  return kind + " " + root.At("metadata").At("name").Text();
}

// The kind that a typed list gives its items, which leave out their own: PodList holds Pods.
std::string ItemKindOf(const std::string& list_kind) {
  return list_kind.substr(0, list_kind.size() - std::string_view("List").size());
}

void ReadOne(const Field& root, const std::string& default_kind, ObjectsRead& out) {
  std::string kind = root.At("kind").Text(default_kind);
  std::string version = root.At("apiVersion").Text("v1");
  if (kind.empty()) return root.Refuse("has no kind");
  if (version == "v1" && kind.ends_with("List")) {
    for (const Field& item : root.At("items").Items()) ReadOne(item, ItemKindOf(kind), out);
    return;
  }
  if (version == "v1" && kind == "Namespace") {
    out.objects.emplace_back(ReadNamespace(root));
  } else if (version == "v1" && kind == "Pod") {
    out.objects.emplace_back(ReadPod(root));
  } else if (version == "v1" && kind == "Service" &&
             root.At("spec").At("type").Text() != "ExternalName") {
    out.objects.emplace_back(ReadService(root));
  } else {
    out.ignored.push_back(TitleOf(root, kind) + " (" + version +
                          ") is not used by the mesh and ignored");
  }
}

Result<json> ParseJson(std::string_view text) {
  bool too_deep = false;
  auto watch_depth = [&too_deep](int depth, json::parse_event_t, json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return !too_deep;
  };
  try {
    json value = json::parse(text, watch_depth);
    if (!too_deep) return value;
  } catch (const json::exception& problem) {
    return Fail(ErrorCode::kInvalidArgument, std::string("not JSON: ") + problem.what());
  }
  return Fail(ErrorCode::kInvalidArgument,
              "nested deeper than " + std::to_string(kMaxDepth) + " levels");
}

}  // namespace

Result<ObjectsRead> ReadObjects(std::string_view json_text) {
  auto value = ParseJson(json_text);
  if (!value) return Fail(value.error());
  ObjectsRead out;
  if (value->is_null()) return out;
  Problem problem;
  Field root(&*value, "", problem);
  ReadOne(root, "", out);
  if (problem.text.empty()) return out;
  Problem unused;
  Field title(&*value, "", unused);
  return Fail(ErrorCode::kInvalidArgument,
              TitleOf(title, title.At("kind").Text("object")) + ": " + problem.text);
}

std::string DerivedUid(std::string_view namespace_name, std::string_view name) {
  using Wide = unsigned __int128;
  const Wide prime = (Wide{1} << 88) + 0x13b;
  Wide hash = (Wide{0x6c62272e07bb0142} << 64) + 0x62b821756295c58d;
  auto feed = [&](std::string_view text) {
    for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * prime;
  };
  feed(namespace_name);
  feed("/");
  feed(name);
  Bytes bytes(16);
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(hash >> (8 * (bytes.size() - 1 - i)));
  }
  bytes[6] = (bytes[6] & std::byte{0x0f}) | std::byte{0x80};
  bytes[8] = (bytes[8] & std::byte{0x3f}) | std::byte{0x80};
  std::string uid = HexEncode(bytes);
  for (size_t dash : {8u, 13u, 18u, 23u}) uid.insert(dash, "-");
  return uid;
}

}  // namespace ambit::k8s
