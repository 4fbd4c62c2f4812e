#pragma once

#include <string>
#include <string_view>

#include "lib/http1/message.h"

// Purpose  content codings of HTTP bodies, for pages that are large and alike, such as metrics.
// Threads  values.
// Source   RFC 9110 section 12.5.3.
namespace ambit::http1 {

enum class Coding { kIdentity, kDeflate, kGzip, kBrotli, kZstd };

// The one that the client's Accept-Encoding likes best; of those it likes alike, the last above.
// Identity where it says nothing or nothing that is known.
Coding ChooseCoding(std::string_view accept_encoding);

// Makes the body smaller in the coding that the request asks for and says so in the headers. Bodies
// of less than 32 bytes, and those that a coding cannot be had for, stay as they are.
void Compress(const Request& request, Response& response);

}  // namespace ambit::http1
