#pragma once

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/net/address.h"
#include "ztunnel-lite/telemetry/dns_meter.h"

namespace ambit::dns {

// Where one question came from and where its answer goes. Destroying it is the end of the question.
// Thread  one worker.
class Origin {
 public:
  virtual ~Origin() = default;
  virtual telemetry::DnsProtocol protocol() const = 0;
  // A zone transfer has many replies, all else one. False: the client is gone.
  virtual bool Reply(Bytes message) = 0;
  // The resolver that the client asked. Errors  kNotFound: it is not known, or it was us.
  virtual Result<net::Endpoint> Asked() = 0;
};

}  // namespace ambit::dns
