#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/observe/log.h"
#include "ztunnel-lite/identity/credential_source.h"
#include "ztunnel-lite/identity/signer.h"

// Purpose  one credential per pod identity, made early, renewed at half of its life, forgotten with
//          the last pod that has it.
// Threads  Get from any worker; all else on the control thread.
// Errors   a renewal that fails keeps the old credential while it is valid; without one the error
// is
//          what Get returns at once, until a retry succeeds (1 s, doubled up to 150 s, +-20 %).
// Logging  scope identity: each failure, each first success after one.
namespace ambit::identity {

// When to renew: at half of the life that is left from `not_before`, moved by up to `jitter` (-1..1
// of a tenth of the life); never before `now`.
std::chrono::system_clock::time_point RenewalTime(std::chrono::system_clock::time_point now,
                                                  std::chrono::system_clock::time_point not_before,
                                                  std::chrono::system_clock::time_point not_after,
                                                  double jitter);

class CredentialCache : public CredentialSource {
 public:
  static constexpr int kMaxConcurrent = 8;

  // All outlive the cache, and no Get may be under way when it is destroyed.
  CredentialCache(Signer& signer, boost::asio::io_context& control, const Clock& clock,
                  observe::Log& log);
  ~CredentialCache() override;

  boost::asio::awaitable<Result<tls::CredentialPtr>> Get(state::Identity identity) override;

  // A pod of this identity is there: its certificate is made now, so that no connection waits.
  void Prefetch(const state::Identity& identity);
  // No pod has it any more. Those who wait get kCancelled; what the CA still answers is dropped.
  void Forget(const state::Identity& identity);

  struct Status {
    state::Identity identity;
    tls::CredentialPtr credential;  // null: none yet
    std::optional<Error> error;     // of the last attempt
  };
  // In the order of the identities.
  std::vector<Status> List() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace ambit::identity
