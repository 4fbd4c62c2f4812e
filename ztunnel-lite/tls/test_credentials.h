#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "ztunnel-lite/tls/credential.h"
#include "ztunnel-lite/tls/openssl_ptr.h"

// Purpose  a mesh CA made at run time, for tests. Ends the process where production code would
//          return an error.
namespace ambit::tls {

class TestMeshCa {
 public:
  TestMeshCa();

  struct Leaf {
    std::string uri;
    std::chrono::seconds valid_from{-60};  // from now
    std::chrono::seconds valid_to{3600};
    std::string key_usage = "serverAuth,clientAuth";
  };
  struct Issued {
    std::string key_pem;
    std::string chain_pem;
  };
  Issued Issue(const Leaf& leaf) const;
  // A credential for spiffe://<trust_domain>/ns/<ns>/sa/<account>, whose roots are `roots_pem`, or
  // this CA when that is empty.
  CredentialPtr Credential(const Leaf& leaf, const std::string& roots_pem = "") const;
  const std::string& root_pem() const { return root_pem_; }
  // An authority below this one; what it issues carries its own certificate in the chain.
  TestMeshCa Intermediate() const;
  // The certificates of PEM texts, of which the first of each counts, as revoked by this authority.
  std::string Crl(const std::vector<std::string>& revoked,
                  std::chrono::seconds next_update = std::chrono::hours(1)) const;
  const std::string& chain_pem() const { return chain_pem_; }

 private:
  TestMeshCa(const TestMeshCa& parent, const std::string& name);
  KeyPtr key_;
  X509Ptr certificate_;
  std::string root_pem_;
  std::string chain_pem_;  // of an intermediate: its own certificate and those above, without root
};

}  // namespace ambit::tls
