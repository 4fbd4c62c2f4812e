#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "control-plane/ca/x509.h"
#include "lib/base/clock.h"

// Purpose  the root of the mesh's trust and what it signs.
// Files    <folder>/root-key.pem (0600) and <folder>/root-cert.pem (0644), each written to a
//          temporary file, synced and moved into place. A first start that was cut short between
//          the two is finished by the next one with the same key.
// Threads  Sign... are safe from any thread.
namespace ambit::ca {

inline constexpr std::chrono::seconds kMaxLeafValidity = std::chrono::hours(24);
inline constexpr std::chrono::seconds kBackdate = std::chrono::minutes(2);

struct KeyAndChain {
  std::string key_pem;
  std::string chain_pem;
};

class Root {
 public:
  // Makes the folder (0700) and the files where they are missing.
  // Errors  kInvalidArgument: a damaged file, a key of another certificate, an expired root, or a
  //         certificate without its key; nothing is replaced then. kPermissionDenied: others than
  //         the owner can read the key. Else the errno's.
  static Result<Root> Open(const std::string& folder, const std::string& trust_domain,
                           const Clock& clock);

  const std::string& certificate_pem() const { return certificate_pem_; }

  // A workload's certificate: backdated by kBackdate, `validity` from now, at most kMaxLeafValidity
  // (also where it is not positive) and never longer than the root's own.
  Result<std::string> SignWorkload(EVP_PKEY* key, const std::string& spiffe_uri,
                                   std::chrono::seconds validity) const;
  // A fresh key with a certificate for a server, valid as long as the root: a process that runs for
  // years then needs no renewal.
  Result<KeyAndChain> MakeServing(const std::vector<std::string>& hostnames) const;

 private:
  Root(PrivateKey key, Certificate certificate, std::string pem, TimePoint end, const Clock& clock)
      : key_(std::move(key)),
        certificate_(std::move(certificate)),
        certificate_pem_(std::move(pem)),
        not_after_(end),
        clock_(&clock) {}

  PrivateKey key_;
  Certificate certificate_;
  std::string certificate_pem_;
  TimePoint not_after_;
  const Clock* clock_;
};

}  // namespace ambit::ca
