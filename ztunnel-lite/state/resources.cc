#include "ztunnel-lite/state/resources.h"

#include <array>

namespace ambit::state {

namespace {

constexpr std::string_view kScheme = "spiffe://";

}  // namespace

std::string Identity::Uri() const {
  return std::string(kScheme) + trust_domain + "/ns/" + ns + "/sa/" + service_account;
}

Result<Identity> Identity::Parse(std::string_view uri) {
  auto bad = [&] {
    return Fail(ErrorCode::kInvalidArgument,
                "\"" + std::string(uri) +
                    "\" is not spiffe://<trust domain>/ns/<namespace>/sa/<service account>");
  };
  if (!uri.starts_with(kScheme)) return bad();
  std::array<std::string_view, 5> parts;
  std::string_view rest = uri.substr(kScheme.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    size_t slash = rest.find('/');
    bool last = i + 1 == parts.size();
    if (last != (slash == std::string_view::npos)) return bad();
    parts[i] = rest.substr(0, slash);
    if (parts[i].empty()) return bad();
    if (!last) rest.remove_prefix(slash + 1);
  }
  if (parts[1] != "ns" || parts[3] != "sa") return bad();
  return Identity{std::string(parts[0]), std::string(parts[2]), std::string(parts[4])};
}

bool StringMatch::Matches(std::string_view text) const {
  switch (kind) {
    case Kind::kExact:
      return text == value;
    case Kind::kPrefix:
      return text.starts_with(value);
    case Kind::kSuffix:
      return text.ends_with(value);
    case Kind::kPresence:
      return !text.empty();
  }
  return false;
}

}  // namespace ambit::state
