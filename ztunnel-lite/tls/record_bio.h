#pragma once

#include "lib/base/bytes.h"
#include "ztunnel-lite/tls/openssl_ptr.h"

namespace ambit::tls {

// Takes records on their way to the peer; never refuses.
class CipherSink {
 public:
  virtual ~CipherSink() = default;
  virtual void Append(ByteSpan records) = 0;
};

// Both ends of OpenSSL's transport, in memory: reads come from `input`, which is what one recv
// brought, writes go to the sink. Nothing is copied into a buffer of its own.
struct RecordTransport {
  ByteSpan input;
  CipherSink* sink = nullptr;
};

// `transport` outlives the BIO.
BioPtr MakeRecordBio(RecordTransport& transport);

}  // namespace ambit::tls
