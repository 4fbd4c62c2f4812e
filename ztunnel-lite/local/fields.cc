#include "ztunnel-lite/local/fields.h"

#include <algorithm>
#include <charconv>

namespace ambit::local {
namespace {

using Kind = YamlValue::Kind;

std::string_view NameOf(Kind kind) {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return "a scalar";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a map";
  }
  return "";
}

void Unexpected(const YamlValue& value, std::string_view wanted, Report& report) {
  std::string key = value.key.empty() ? "" : value.key + ": ";
  report.Add(value,
             key + std::string(wanted) + " is wanted, not " + std::string(NameOf(value.kind)));
}

std::string Quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

}  // namespace

void Report::Add(const YamlValue& at, const std::string& text) {
  if (error_) return;
  error_ = Error(ErrorCode::kInvalidArgument, "line " + std::to_string(at.line) + ": " + text);
}

Fields::Fields(const YamlValue& map, std::string what, Report& report)
    : map_(map), what_(std::move(what)), report_(report) {
  if (map.kind != Kind::kMap) Unexpected(map, "a map (" + what_ + ")", report);
}

Fields::~Fields() {
  for (const YamlValue& item : map_.items) {
    if (map_.kind != Kind::kMap) return;
    if (std::ranges::find(asked_, item.key) != asked_.end()) continue;
    report_.Add(item, "unknown key " + Quoted(item.key) + " of a " + what_);
  }
}

void Fields::Require(std::initializer_list<std::string_view> keys) {
  for (std::string_view key : keys) {
    if (Find(key) == nullptr) report_.Add(map_, "a " + what_ + " needs the key " + Quoted(key));
  }
}

const YamlValue* Fields::Find(std::string_view key) {
  asked_.push_back(key);
  if (map_.kind != Kind::kMap) return nullptr;
  auto found = std::ranges::find(map_.items, key, &YamlValue::key);
  if (found == map_.items.end()) return nullptr;
  if (found->kind != Kind::kNull) return &*found;
  // A list of a policy that was left out by mistake would widen the policy.
  report_.Add(*found, "key " + Quoted(key) + " of a " + what_ + " has no value");
  return nullptr;
}

const YamlValue* Fields::FindUnlessNull(std::string_view key) {
  auto found = std::ranges::find(map_.items, key, &YamlValue::key);
  bool null = found != map_.items.end() && found->kind == Kind::kNull;
  if (!null) return Find(key);
  asked_.push_back(key);
  return nullptr;
}

void Fields::Text(std::string_view key, std::string& out) {
  if (const YamlValue* value = Find(key)) out = TextOf(*value, report_);
}

void Fields::Texts(std::string_view key, std::vector<std::string>& out) {
  const YamlValue* list = Find(key);
  if (list == nullptr) return;
  for (const YamlValue& item : ItemsOf(*list, report_)) out.push_back(TextOf(item, report_));
}

void Fields::Flag(std::string_view key, bool& out) {
  Choice(key, {{"true", true}, {"false", false}}, out);
}

const std::vector<YamlValue>& ItemsOf(const YamlValue& value, Report& report) {
  static const std::vector<YamlValue> kNone;
  if (value.kind == Kind::kList) return value.items;
  Unexpected(value, "a list", report);
  return kNone;
}

std::string TextOf(const YamlValue& value, Report& report) {
  if (value.kind == Kind::kScalar) return value.text;
  Unexpected(value, "a text", report);
  return "";
}

uint64_t IntegerOf(const YamlValue& value, uint64_t high, Report& report) {
  std::string text = TextOf(value, report);
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number <= high) return number;
  report.Add(value, Quoted(text) + " is not a number from 0 to " + std::to_string(high));
  return 0;
}

net::IpAddress IpOf(const YamlValue& value, std::string_view text, Report& report) {
  auto address = net::IpAddress::Parse(text);
  if (!address) report.Add(value, address.error().message());
  return address.value_or(net::IpAddress());
}

net::Cidr CidrOf(const YamlValue& value, Report& report) {
  auto cidr = net::Cidr::Parse(TextOf(value, report));
  if (!cidr) report.Add(value, cidr.error().message());
  return cidr.value_or(net::Cidr());
}

std::pair<std::string, std::string> PairOf(const YamlValue& value, std::string_view text,
                                           std::string_view form, Report& report) {
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    report.Add(value, Quoted(text) + " is not " + std::string(form));
    return {};
  }
  return {std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
}

size_t ChoiceOf(const YamlValue& value, const std::vector<std::string_view>& names,
                Report& report) {
  std::string text = TextOf(value, report);
  auto found = std::ranges::find(names, text);
  if (found != names.end()) return static_cast<size_t>(found - names.begin());
  std::string list;
  for (std::string_view name : names) list += (list.empty() ? "" : ", ") + std::string(name);
  std::string key = value.key.empty() ? "" : value.key + ": ";
  report.Add(value, key + Quoted(text) + " is none of " + list);
  return 0;
}

}  // namespace ambit::local
