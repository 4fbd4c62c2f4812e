#include "ztunnel-lite/tls/crl_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include "ztunnel-lite/tls/test_credentials.h"

namespace ambit::tls {
namespace {

using ::testing::HasSubstr;

constexpr char kUri[] = "spiffe://cluster.local/ns/default/sa/client";

struct ChainDeleter {
  void operator()(STACK_OF(X509) * chain) const { sk_X509_pop_free(chain, X509_free); }
};
using ChainPtr = std::unique_ptr<STACK_OF(X509), ChainDeleter>;

// As a handshake has verified it: leaf to root.
ChainPtr ChainOf(const std::string& pem) {
  ChainPtr chain(sk_X509_new_null());
  BioPtr in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  while (X509* one = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)) {
    sk_X509_push(chain.get(), one);
  }
  return chain;
}

std::string Revoked(const std::string& lists, const std::string& chain_pem) {
  auto set = CrlSet::Parse(lists);
  if (!set) return set.error().message();
  return (*set)->FindRevoked(ChainOf(chain_pem).get()).value_or("good");
}

TEST(CrlSet, ALeafOnItsIssuersListIsRevokedAndNoOther) {
  TestMeshCa ca;
  auto bad = ca.Issue({.uri = kUri}), good = ca.Issue({.uri = kUri});
  const std::string list = ca.Crl({bad.chain_pem});
  EXPECT_THAT(Revoked(list, bad.chain_pem + ca.root_pem()), HasSubstr("has been revoked"));
  EXPECT_EQ(Revoked(list, good.chain_pem + ca.root_pem()), "good");
}

TEST(CrlSet, AnIntermediateIsJudgedToo) {
  TestMeshCa root;
  TestMeshCa intermediate = root.Intermediate();
  auto leaf = intermediate.Issue({.uri = kUri});
  const std::string chain = leaf.chain_pem + root.root_pem();
  EXPECT_EQ(Revoked(intermediate.Crl({}) + root.Crl({}), chain), "good");
  EXPECT_THAT(Revoked(root.Crl({intermediate.chain_pem()}), chain), HasSubstr("test mesh"));
  EXPECT_THAT(Revoked(intermediate.Crl({leaf.chain_pem}), chain), HasSubstr("test intermediate"));
}

TEST(CrlSet, AListOfAnotherAuthorityWithTheSameNameSaysNothing) {
  TestMeshCa ca, namesake;
  auto leaf = ca.Issue({.uri = kUri});
  EXPECT_EQ(Revoked(namesake.Crl({leaf.chain_pem}), leaf.chain_pem + ca.root_pem()), "good");
  // Both together: only the right one is heard.
  EXPECT_THAT(Revoked(namesake.Crl({}) + ca.Crl({leaf.chain_pem}), leaf.chain_pem + ca.root_pem()),
              HasSubstr("has been revoked"));
}

TEST(CrlSet, AListThatShouldHaveBeenReplacedStillCounts) {
  TestMeshCa ca;
  auto leaf = ca.Issue({.uri = kUri});
  EXPECT_THAT(Revoked(ca.Crl({leaf.chain_pem}, std::chrono::seconds(-3600)),
                      leaf.chain_pem + ca.root_pem()),
              HasSubstr("has been revoked"));
}

TEST(CrlSet, OtherItemsAreSkippedAndNothingRevokesNobody) {
  TestMeshCa ca;
  auto leaf = ca.Issue({.uri = kUri});
  EXPECT_EQ(CrlSet::Parse(ca.root_pem() + ca.Crl({}))->get()->size(), 1u);
  for (const char* text : {"", "\n"}) {
    EXPECT_EQ(Revoked(text, leaf.chain_pem + ca.root_pem()), "good");
  }
}

TEST(CrlSet, OneListMayBeDer) {
  TestMeshCa ca;
  auto leaf = ca.Issue({.uri = kUri});
  const std::string pem = ca.Crl({leaf.chain_pem});
  BioPtr in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  X509_CRL* list = PEM_read_bio_X509_CRL(in.get(), nullptr, nullptr, nullptr);
  unsigned char* bytes = nullptr;
  const int size = i2d_X509_CRL(list, &bytes);
  X509_CRL_free(list);
  const std::string der(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  EXPECT_THAT(Revoked(der, leaf.chain_pem + ca.root_pem()), HasSubstr("has been revoked"));
  EXPECT_FALSE(CrlSet::Parse(der + "x").has_value());
  EXPECT_FALSE(CrlSet::Parse(der.substr(0, der.size() - 1)).has_value());
}

TEST(CrlSet, WhatIsNoListIsRefused) {
  EXPECT_FALSE(CrlSet::Parse("nonsense").has_value());
  EXPECT_FALSE(
      CrlSet::Parse("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n").has_value());
  EXPECT_FALSE(CrlSet::Parse("-----BEGIN X509 CRL-----\nA").has_value());
}

}  // namespace
}  // namespace ambit::tls
