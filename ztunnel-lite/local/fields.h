#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/error.h"
#include "lib/net/address.h"
#include "ztunnel-lite/local/yaml_tree.h"

// Purpose  reading a map of the file key by key. Readers write into values of the mesh and go on
//          after an error; the first one is kept, with its line.
// Threads  one.
namespace ambit::local {

class Report {
 public:
  void Add(const YamlValue& at, const std::string& text);
  bool empty() const { return !error_; }
  Error Take() { return *std::exchange(error_, std::nullopt); }

 private:
  std::optional<Error> error_;
};

class Fields {
 public:
  // `what` names the map in messages. Both outlive the object.
  Fields(const YamlValue& map, std::string what, Report& report);
  // Reports a key that nobody asked for.
  ~Fields();
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  const YamlValue& map() const { return map_; }
  Report& report() const { return report_; }

  void Require(std::initializer_list<std::string_view> keys);
  // Null if it is absent; a value that is null is reported.
  const YamlValue* Find(std::string_view key);
  // The same where null means absent.
  const YamlValue* FindUnlessNull(std::string_view key);
  // What is absent leaves `out` as it is.
  void Text(std::string_view key, std::string& out);
  void Texts(std::string_view key, std::vector<std::string>& out);
  void Flag(std::string_view key, bool& out);
  template <typename Number>
  void Integer(std::string_view key, Number& out);
  template <typename T>
  using Choices = std::initializer_list<std::pair<std::string_view, T>>;
  template <typename T>
  void Choice(std::string_view key, Choices<T> choices, T& out);

 private:
  const YamlValue& map_;
  const std::string what_;
  Report& report_;
  std::vector<std::string_view> asked_;
};

// The items of a list; reports anything else.
const std::vector<YamlValue>& ItemsOf(const YamlValue& value, Report& report);
// Empty after a report.
std::string TextOf(const YamlValue& value, Report& report);
uint64_t IntegerOf(const YamlValue& value, uint64_t high, Report& report);
net::IpAddress IpOf(const YamlValue& value, std::string_view text, Report& report);
net::Cidr CidrOf(const YamlValue& value, Report& report);
// "left/right" at its first slash.
std::pair<std::string, std::string> PairOf(const YamlValue& value, std::string_view text,
                                           std::string_view form, Report& report);
// Which of the names the value is; reports them all if none.
size_t ChoiceOf(const YamlValue& value, const std::vector<std::string_view>& names, Report& report);

template <typename Number>
void Fields::Integer(std::string_view key, Number& out) {
  if (const YamlValue* value = Find(key)) {
    out = static_cast<Number>(IntegerOf(*value, std::numeric_limits<Number>::max(), report_));
  }
}

template <typename T>
void Fields::Choice(std::string_view key, Choices<T> choices, T& out) {
  const YamlValue* value = Find(key);
  if (value == nullptr) return;
  std::vector<std::string_view> names;
  for (const auto& choice : choices) names.push_back(choice.first);
  out = (choices.begin() + ChoiceOf(*value, names, report_))->second;
}

}  // namespace ambit::local
