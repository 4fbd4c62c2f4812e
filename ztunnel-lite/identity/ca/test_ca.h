#pragma once

#include <chrono>
#include <memory>
#include <string>

// Purpose  a certificate authority made at run time, for tests. Asserts instead of returning
// errors.
namespace ambit::identity {

class TestCa {
 public:
  TestCa();
  ~TestCa();

  struct Issued {
    std::string key_pem;
    std::string chain_pem;
  };
  const std::string& root_pem() const { return root_pem_; }
  // A server certificate; `names` in OpenSSL's form, e.g. "DNS:localhost,IP:127.0.0.1".
  Issued IssueServer(const std::string& names) const;
  // What a CSR asks for: its key, its SAN and, if `uri` is not empty, that URI in place of it.
  std::string Sign(const std::string& csr_pem, std::chrono::seconds lifetime,
                   const std::string& uri = "") const;
  // The critical URI SAN of a CSR whose signature is good; empty otherwise.
  static std::string UriOf(const std::string& csr_pem);

 private:
  struct Keys;
  std::unique_ptr<Keys> keys_;
  std::string root_pem_;
};

}  // namespace ambit::identity
