#include "control-plane/callers/token_table.h"

#include <algorithm>

namespace ambit::callers {
namespace {

std::string_view Trimmed(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

bool SameToken(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  // No early end: the time must not tell how much of a guess was right.
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

}  // namespace

Result<TokenTable> TokenTable::Parse(std::string_view text) {
  TokenTable table;
  for (int number = 1; !text.empty(); ++number) {
    size_t end = text.find('\n');
    std::string_view line = Trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.starts_with('#')) continue;
    size_t comma = line.find(',');
    std::string_view token = Trimmed(line.substr(0, comma));
    std::string_view node =
        comma == std::string_view::npos ? std::string_view() : Trimmed(line.substr(comma + 1));
    if (token.empty() || node.empty() || node.find(',') != std::string_view::npos) {
      return Fail(ErrorCode::kInvalidArgument,
                  "line " + std::to_string(number) + " is not of the form token,node");
    }
    if (token.size() < 16) {
      return Fail(ErrorCode::kInvalidArgument,
                  "line " + std::to_string(number) + ": a token needs at least 16 characters");
    }
    table.entries_.push_back({std::string(token), std::string(node)});
  }
  return table;
}

std::optional<std::string> TokenTable::NodeOf(std::string_view token) const {
  std::optional<std::string> node;
  for (const Entry& entry : entries_) {
    if (SameToken(entry.token, token)) node = entry.node;
  }
  return node;
}

}  // namespace ambit::callers
