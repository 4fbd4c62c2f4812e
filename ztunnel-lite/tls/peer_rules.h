#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "lib/observe/metrics.h"
#include "ztunnel-lite/tls/crl_set.h"

// Purpose  what holds for all peers beside their chain and identity: who has been revoked, and
//          which trust domains are one.
namespace ambit::tls {

// The revocation lists in force.
// Threads  any. Metrics  istio_crl_policy_rejections_total, istio_crl_untracked_connections_total.
class Revocations {
 public:
  enum class Reporter : uint8_t { kSource, kDestination };

  // The registry outlives the object.
  explicit Revocations(prometheus::Registry& registry);

  // Null while there are none.
  CrlSetPtr current() const;
  void Replace(CrlSetPtr lists);

  // A handshake was refused, or a tunnel ended.
  void CountRejection(Reporter reporter);
  // A tunnel cannot be judged again, as its chain is not known any more.
  void CountUntracked() { untracked_.Increment(); }

 private:
  mutable std::mutex mutex_;
  CrlSetPtr current_;
  prometheus::Family<prometheus::Counter>& rejections_;
  prometheus::Counter& untracked_;
};

struct PeerRules {
  // Trust domains that are one and the same; empty: each is for itself.
  std::vector<std::string> trust_domains;
  Revocations* revocations = nullptr;  // null: nobody is ever revoked

  // All names of that trust domain, if it is one of those.
  std::vector<std::string> AliasesOf(const std::string& trust_domain) const;
  bool SameTrustDomain(const std::string& a, const std::string& b) const;
};

}  // namespace ambit::tls
