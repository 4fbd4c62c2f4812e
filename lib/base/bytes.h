#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"

namespace ambit {

using ByteSpan = std::span<const std::byte>;
using Bytes = std::vector<std::byte>;

ByteSpan AsBytes(std::string_view text);
std::string_view AsText(ByteSpan bytes);

// Lower-case hexadecimal without separators.
std::string HexEncode(ByteSpan bytes);
// Errors  kInvalidArgument: odd length or a character that is no hexadecimal digit.
Result<Bytes> HexDecode(std::string_view text);

// Standard alphabet with padding (RFC 4648 section 4).
std::string Base64Encode(ByteSpan bytes);
// Errors  kInvalidArgument: wrong length, padding or alphabet; white space is refused too.
Result<Bytes> Base64Decode(std::string_view text);

}  // namespace ambit
