#include <nlohmann/json.hpp>
#include <utility>

#include "lib/k8s/mesh_selection.h"
#include "lib/k8s/yaml_json.h"

namespace ambit::k8s {
namespace {

using nlohmann::json;
using Operator = Requirement::Operator;

std::unexpected<Error> Bad(const std::string& what) {
  return Fail(ErrorCode::kInvalidArgument, "enablement selectors: " + what);
}

// A selector with a misspelt key would match everything, so unknown keys are errors.
Result<void> OnlyKeys(const json& value, const std::string& path,
                      std::initializer_list<std::string_view> allowed) {
  if (!value.is_object()) return Bad(path + " must be an object, not a " + value.type_name());
  for (const auto& item : value.items()) {
    if (std::ranges::find(allowed, item.key()) == allowed.end()) {
      return Bad(path + " has an unknown key \"" + item.key() + "\"");
    }
  }
  return {};
}

Result<std::string> TextOf(const json& value, const std::string& path) {
  if (value.is_string()) return value.get<std::string>();
  return Bad(path + " must be a string, not a " + value.type_name() + "; quote it");
}

Result<Operator> OperatorOf(const std::string& text, const std::string& path) {
  if (text == "In") return Operator::kIn;
  if (text == "NotIn") return Operator::kNotIn;
  if (text == "Exists") return Operator::kExists;
  if (text == "DoesNotExist") return Operator::kDoesNotExist;
  return Bad(path + ".operator must be In, NotIn, Exists or DoesNotExist, not \"" + text + "\"");
}

Result<Requirement> ReadExpression(const json& value, const std::string& path) {
  auto keys = OnlyKeys(value, path, {"key", "operator", "values"});
  if (!keys) return Fail(keys.error());
  auto key = TextOf(value.value("key", json()), path + ".key");
  if (!key) return Fail(key.error());
  auto name = TextOf(value.value("operator", json()), path + ".operator");
  if (!name) return Fail(name.error());
  auto op = OperatorOf(*name, path);
  if (!op) return Fail(op.error());
  Requirement requirement{*key, *op, {}};
  json values = value.value("values", json());
  if (!values.is_null() && !values.is_array()) return Bad(path + ".values must be a list");
  for (const json& item : values) {
    auto text = TextOf(item, path + ".values");
    if (!text) return Fail(text.error());
    requirement.values.push_back(*std::move(text));
  }
  bool wants_values = *op == Operator::kIn || *op == Operator::kNotIn;
  if (wants_values == requirement.values.empty()) {
    return Bad(path + ".values must " + (wants_values ? "not be empty" : "be empty") + " with " +
               *name);
  }
  return requirement;
}

Result<LabelSelector> ReadSelector(const json& value, const std::string& path) {
  LabelSelector selector;
  if (value.is_null()) return selector;
  auto keys = OnlyKeys(value, path, {"matchLabels", "matchExpressions"});
  if (!keys) return Fail(keys.error());
  json labels = value.value("matchLabels", json());
  if (!labels.is_null() && !labels.is_object()) return Bad(path + ".matchLabels must be an object");
  for (const auto& item : labels.items()) {
    auto text = TextOf(item.value(), path + ".matchLabels." + item.key());
    if (!text) return Fail(text.error());
    selector.requirements.push_back({item.key(), Operator::kIn, {*text}});
  }
  json expressions = value.value("matchExpressions", json());
  if (!expressions.is_null() && !expressions.is_array()) {
    return Bad(path + ".matchExpressions must be a list");
  }
  for (size_t i = 0; i < expressions.size(); ++i) {
    auto one =
        ReadExpression(expressions[i], path + ".matchExpressions[" + std::to_string(i) + "]");
    if (!one) return Fail(one.error());
    selector.requirements.push_back(*std::move(one));
  }
  return selector;
}

Result<EnablementSelector> ReadPair(const json& value, const std::string& path) {
  auto keys = OnlyKeys(value, path, {"podSelector", "namespaceSelector"});
  if (!keys) return Fail(keys.error());
  auto pod = ReadSelector(value.value("podSelector", json()), path + ".podSelector");
  if (!pod) return Fail(pod.error());
  auto of_namespace =
      ReadSelector(value.value("namespaceSelector", json()), path + ".namespaceSelector");
  if (!of_namespace) return Fail(of_namespace.error());
  return EnablementSelector{*std::move(pod), *std::move(of_namespace)};
}

}  // namespace

Result<MeshSelection> MeshSelection::ParseSelectors(const std::string& yaml) {
  auto documents = YamlToJson(yaml);
  if (!documents) return Fail(documents.error().Wrap("enablement selectors"));
  if (documents->size() != 1) return Bad("one YAML document is wanted");
  // The text is our own dump, so it parses.
  json list = json::parse(documents->front());
  if (!list.is_array()) return Bad("a list of {podSelector, namespaceSelector} is wanted");
  MeshSelection selection;
  for (size_t i = 0; i < list.size(); ++i) {
    auto pair = ReadPair(list[i], "[" + std::to_string(i) + "]");
    if (!pair) return Fail(pair.error());
    selection.selectors.push_back(*std::move(pair));
  }
  return selection;
}

}  // namespace ambit::k8s
