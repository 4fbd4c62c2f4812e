#include "ztunnel-lite/identity/ca/csr.h"

#include <gtest/gtest.h>

#include "ztunnel-lite/identity/ca/test_ca.h"

namespace ambit::identity {
namespace {

TEST(SigningRequest, CarriesTheIdentityAsItsOnlyCriticalUri) {
  auto request = MakeSigningRequest({"cluster.local", "default", "client"});
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(TestCa::UriOf(request->csr_pem), "spiffe://cluster.local/ns/default/sa/client");
  EXPECT_TRUE(request->key_pem.starts_with("-----BEGIN PRIVATE KEY-----"));
}

TEST(SigningRequest, IsMadeWithAKeyOfItsOwnEachTime) {
  state::Identity identity{"cluster.local", "default", "client"};
  EXPECT_NE(MakeSigningRequest(identity)->key_pem, MakeSigningRequest(identity)->key_pem);
}

}  // namespace
}  // namespace ambit::identity
