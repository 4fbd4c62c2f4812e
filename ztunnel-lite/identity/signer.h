#pragma once

#include <functional>

#include "lib/base/error.h"
#include "ztunnel-lite/state/resources.h"
#include "ztunnel-lite/tls/credential.h"

namespace ambit::identity {

// Who makes credentials: the CA, or a test.
class Signer {
 public:
  using Done = std::function<void(Result<tls::CredentialPtr>)>;

  virtual ~Signer() = default;
  // Called on the control thread; `done` runs there too, exactly once and never within the call,
  // or not at all if the signer is destroyed before.
  virtual void Sign(const state::Identity& identity, Done done) = 0;
};

}  // namespace ambit::identity
