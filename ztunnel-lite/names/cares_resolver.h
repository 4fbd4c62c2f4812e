#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "lib/base/clock.h"
#include "ztunnel-lite/names/host_resolver.h"

namespace ambit::names {

struct ResolverOptions {
  bool ipv6 = true;  // AAAA is asked, together with A
  size_t cached_names = 4096;
  // "address:port,..."; empty: those of /etc/resolv.conf
  std::string servers{};
};

// By c-ares, which never blocks and reads those files as the system's resolver does; what it lacks
// before 1.24 is a cache. /etc/resolv.conf and /etc/hosts of this process, in the namespace of the
// caller: search domains and ndots apply, time-outs and attempts are the file's. Names are kept as
// long as their records say. Everybody who asks for one name at one time gets one answer. One
// thread of its own. Errors  kResourceExhausted: no descriptor or memory left.
Result<std::unique_ptr<HostResolver>> StartCaresResolver(const Clock& clock,
                                                         ResolverOptions options);

}  // namespace ambit::names
