#include "ztunnel-lite/tls/record_bio.h"

#include <algorithm>
#include <cstring>

namespace ambit::tls {
namespace {

int Write(BIO* bio, const char* data, size_t size, size_t* written) {
  auto* transport = static_cast<RecordTransport*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  transport->sink->Append({reinterpret_cast<const std::byte*>(data), size});
  *written = size;
  return 1;
}

int Read(BIO* bio, char* data, size_t size, size_t* read) {
  auto* transport = static_cast<RecordTransport*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const size_t taken = std::min(size, transport->input.size());
  *read = taken;
  if (taken == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(data, transport->input.data(), taken);
  transport->input = transport->input.subspan(taken);
  return 1;
}

long Control(BIO*, int command, long, void*) {
  // OpenSSL flushes after each flight; the sink has no buffer behind it.
  return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0;
}

int Create(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

// Made once and kept: OpenSSL has a bounded number of BIO types.
const BIO_METHOD* Method() {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ambit records");
    BIO_meth_set_write_ex(method, Write);
    BIO_meth_set_read_ex(method, Read);
    BIO_meth_set_ctrl(method, Control);
    BIO_meth_set_create(method, Create);
    return method;
  }();
  return kMethod;
}

}  // namespace

BioPtr MakeRecordBio(RecordTransport& transport) {
  BioPtr bio(BIO_new(Method()));
  BIO_set_data(bio.get(), &transport);
  return bio;
}

}  // namespace ambit::tls
