#include "ztunnel-lite/config/reader.h"

namespace ambit::config {

std::optional<std::string> Reader::Find(std::string_view name) {
  Note(name);
  return environment_.Find(name);
}

void Reader::Text(std::string_view name, std::string& out) {
  if (auto value = Find(name)) out = *value;
}

void Reader::Bool(std::string_view name, bool& out) {
  Note(name);
  Keep(environment_.Bool(name, out), out);
}

void Reader::Bool(std::string_view name, std::optional<bool>& out) {
  if (!Find(name)) return;
  bool value = false;
  Bool(name, value);
  out = value;
}

void Reader::Time(std::string_view name, std::chrono::milliseconds& out) {
  Note(name);
  Keep(environment_.Duration(name, out), out);
}

void Reader::Seconds(std::string_view name, std::chrono::seconds& out) {
  std::chrono::milliseconds value = out;
  Time(name, value);
  out = std::chrono::ceil<std::chrono::seconds>(value);
}

Environment::Map Reader::WithPrefix(std::string_view prefix) {
  Note(std::string(prefix) + "*");
  Environment::Map out;
  for (const auto& [name, value] : environment_.all()) {
    if (name.starts_with(prefix) && name.size() > prefix.size()) {
      out.emplace(name.substr(prefix.size()), value);
    }
  }
  return out;
}

void Reader::Refuse(std::string_view name, std::string_view why) {
  Refuse(Error(ErrorCode::kInvalidArgument, "environment variable " + std::string(name) + "=\"" +
                                                environment_.Text(name, "") +
                                                "\": " + std::string(why)));
}

void Reader::Refuse(Error error) {
  if (!error_) error_ = std::move(error);
}

std::vector<std::string> Reader::Unknown() const {
  std::vector<std::string> unknown;
  for (const auto& [name, value] : environment_.all()) {
    const bool ours = name.starts_with("AMBIT_") || name.starts_with("ZTUNNEL_");
    if (ours && !known_.contains(name)) unknown.push_back(name);
  }
  return unknown;
}

}  // namespace ambit::config
