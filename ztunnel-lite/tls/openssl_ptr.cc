#include "ztunnel-lite/tls/openssl_ptr.h"

#include <openssl/err.h>

namespace ambit::tls {

std::string TakeOpensslError() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "no detail from OpenSSL";
  if (const char* reason = ERR_reason_error_string(code)) return reason;
  return "OpenSSL error " + std::to_string(code);
}

}  // namespace ambit::tls
