#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"

namespace ambit::callers {

// Bearer tokens and the nodes that hold them. Pure.
class TokenTable {
 public:
  // Lines "token,node"; blank lines and lines that start with '#' are skipped.
  // Errors  kInvalidArgument with the line's number, never with the token.
  static Result<TokenTable> Parse(std::string_view text);

  // Takes the same time whichever token is asked for.
  std::optional<std::string> NodeOf(std::string_view token) const;
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string token, node;
  };
  std::vector<Entry> entries_;
};

}  // namespace ambit::callers
