#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/error.h"

struct nlmsghdr;

// Purpose  reading lists out of the kernel.
// Threads  blocks; the calling thread's network namespace.
namespace ambit::redirect {

// All messages that answer a dump of nf_tables objects of family inet, nlmsghdr first. `fill`
// appends attributes that name what is asked for; empty for everything. Errors  kNotFound: what
// `fill` names is not there; kUnavailable: the list changed while it was read,
//         five times in a row; kTimedOut; kPermissionDenied; kIo.
Result<std::vector<Bytes>> DumpNft(uint16_t type, const std::function<void(nlmsghdr*)>& fill);
// RTM_GETRULE or RTM_GETROUTE; empty where the kernel does not have the family.
Result<std::vector<Bytes>> DumpRouting(uint16_t type, uint8_t family);

}  // namespace ambit::redirect
