#include "lib/http1/message.h"

#include <optional>

#include "lib/base/bytes.h"

namespace ambit::http1 {
namespace {

// A '%' without two hexadecimal digits stays as it is, as browsers and Go's lenient readers do.
std::string PercentDecode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] == '%' && text.size() - i > 2) {
      auto byte = HexDecode(text.substr(i + 1, 2));
      out += byte ? std::string(AsText(*byte)) : "%";
      if (byte) i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::optional<std::string> FindQuery(std::string_view target, std::string_view key) {
  size_t mark = target.find('?');
  if (mark == std::string_view::npos) return std::nullopt;
  std::string_view rest = target.substr(mark + 1);
  while (!rest.empty()) {
    std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    size_t equals = pair.find('=');
    if (PercentDecode(pair.substr(0, equals)) != key) continue;
    if (equals == std::string_view::npos) return std::string();
    return PercentDecode(pair.substr(equals + 1));
  }
  return std::nullopt;
}

}  // namespace

std::string Request::Query(std::string_view key) const {
  return FindQuery(target, key).value_or(std::string());
}

bool Request::HasQuery(std::string_view key) const { return FindQuery(target, key).has_value(); }

}  // namespace ambit::http1
