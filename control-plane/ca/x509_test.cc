#include "control-plane/ca/x509.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/rsa.h>

#include "control-plane/ca/request_for_test.h"

namespace ambit::ca {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string ErrorOf(const std::string& pem) {
  auto request = ParseRequest(pem);
  return request ? "no error" : request.error().message();
}

TEST(X509, ARequestGivesItsKeyAndUriNames) {
  auto key = MakeP256Key();
  auto request = ParseRequest(RequestPem(key->get(), key->get(), {"spiffe://td/ns/a/sa/b"}));
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_EQ(EVP_PKEY_eq(request->key.get(), key->get()), 1);
  EXPECT_THAT(request->uri_names, ElementsAre("spiffe://td/ns/a/sa/b"));
  EXPECT_THAT(ParseRequest(RequestPem(key->get(), key->get(), {}))->uri_names, IsEmpty());
}

TEST(X509, ARequestSignedByAnotherKeyIsRefused) {
  auto key = MakeP256Key();
  auto other = MakeP256Key();
  EXPECT_THAT(ErrorOf(RequestPem(key->get(), other->get(), {})),
              HasSubstr("not signed by its own key"));
}

TEST(X509, WeakAndOddKeysAreRefused) {
  PrivateKey rsa(EVP_RSA_gen(1024));
  EXPECT_THAT(ErrorOf(RequestPem(rsa.get(), rsa.get(), {})), HasSubstr("neither EC P-256"));
  PrivateKey curve(EVP_EC_gen("secp256k1"));
  EXPECT_THAT(ErrorOf(RequestPem(curve.get(), curve.get(), {})), HasSubstr("neither EC P-256"));
  PrivateKey good(EVP_RSA_gen(2048));
  EXPECT_EQ(ErrorOf(RequestPem(good.get(), good.get(), {})), "no error");
}

TEST(X509, BytesThatAreNoRequestAreRefused) {
  for (const char* pem : {"", "nonsense",
                          "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"
                          "-----END CERTIFICATE REQUEST-----\n"}) {
    EXPECT_THAT(ErrorOf(pem), HasSubstr("no certificate request in PEM")) << pem;
  }
}

TEST(X509, KeysAndCertificatesSurviveTheirPem) {
  auto key = MakeP256Key();
  auto now = std::chrono::system_clock::now();
  auto root = MakeAuthority(*key, "root", now, now + std::chrono::hours(1));
  ASSERT_TRUE(root) << root.error().message();
  auto key_again = ParsePrivateKey(*ToPem(*key));
  auto root_again = ParseCertificate(*ToPem(*root));
  ASSERT_TRUE(key_again && root_again);
  EXPECT_TRUE(KeyMatches(*root_again, *key_again));
  EXPECT_FALSE(KeyMatches(*root_again, *MakeP256Key()));
  EXPECT_TRUE(IsAuthority(*root_again));
}

}  // namespace
}  // namespace ambit::ca
