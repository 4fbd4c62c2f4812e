#include "control-plane/ca/root.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "control-plane/ca/request_for_test.h"
#include "control-plane/callers/folder_for_test.h"
#include "control-plane/callers/kept_file.h"

namespace ambit::ca {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr char kUri[] = "spiffe://cluster.local/ns/shop/sa/seller";

class FakeClock : public Clock {
 public:
  std::chrono::system_clock::time_point Now() const override { return now; }
  std::chrono::steady_clock::time_point Steady() const override { return {}; }
  // Whole seconds, as certificates have.
  std::chrono::system_clock::time_point now =
      std::chrono::floor<seconds>(std::chrono::system_clock::now());
};

class RootTest : public ::testing::Test {
 protected:
  Result<Root> Open() { return Root::Open(folder_ / "data", "cluster.local", clock_); }
  std::string ErrorOf() {
    auto root = Open();
    return root ? "no error" : root.error().message();
  }

  callers::TemporaryFolder folder_;
  FakeClock clock_;
};

TEST_F(RootTest, ALeafVerifiesForServersAndClientsAndCarriesTheName) {
  auto root = Open();
  ASSERT_TRUE(root) << root.error().message();
  auto key = MakeP256Key();
  auto leaf = root->SignWorkload(key->get(), kUri, hours(1));
  ASSERT_TRUE(leaf) << leaf.error().message();
  EXPECT_EQ(Verify(*leaf, root->certificate_pem(), X509_PURPOSE_SSL_SERVER), "ok");
  EXPECT_EQ(Verify(*leaf, root->certificate_pem(), X509_PURPOSE_SSL_CLIENT), "ok");
  auto certificate = ParseCertificate(*leaf);
  EXPECT_TRUE(KeyMatches(*certificate, *key));
  EXPECT_FALSE(IsAuthority(*certificate));
  int critical = 0;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate->get(), NID_subject_alt_name, &critical, nullptr));
  ASSERT_EQ(sk_GENERAL_NAME_num(names), 1);
  const ASN1_STRING* uri = sk_GENERAL_NAME_value(names, 0)->d.uniformResourceIdentifier;
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                        static_cast<size_t>(ASN1_STRING_length(uri))),
            kUri);
  EXPECT_EQ(critical, 1);
  GENERAL_NAMES_free(names);
  EXPECT_EQ(X509_get_key_usage(certificate->get()), static_cast<uint32_t>(KU_DIGITAL_SIGNATURE));
  EXPECT_EQ(X509_NAME_entry_count(X509_get_subject_name(certificate->get())), 0);
}

TEST_F(RootTest, ValidityIsBackdatedAndCapped) {
  auto root = Open();
  ASSERT_TRUE(root);
  auto key = MakeP256Key();
  auto end_after = [&](seconds asked) {
    auto certificate = ParseCertificate(*root->SignWorkload(key->get(), kUri, asked));
    time_t start = std::chrono::system_clock::to_time_t(clock_.now - kBackdate);
    EXPECT_EQ(X509_cmp_time(X509_get0_notBefore(certificate->get()), &start), -1);
    start -= 1;
    EXPECT_EQ(X509_cmp_time(X509_get0_notBefore(certificate->get()), &start), 1);
    return std::chrono::duration_cast<seconds>(*NotAfter(*certificate) - clock_.now);
  };
  EXPECT_EQ(end_after(seconds(90)), seconds(90));
  EXPECT_EQ(end_after(hours(48)), hours(24));
  EXPECT_EQ(end_after(seconds::max()), hours(24));
  EXPECT_EQ(end_after(seconds(0)), hours(24));
  EXPECT_EQ(end_after(seconds(-5)), hours(24));
  clock_.now += hours(24 * 3650 - 1);
  EXPECT_EQ(end_after(hours(24)), hours(1));
}

TEST_F(RootTest, TheServingCertificateHasItsNamesAndLivesAsLongAsTheRoot) {
  auto root = Open();
  ASSERT_TRUE(root);
  auto serving = root->MakeServing({"localhost", "127.0.0.1", "::1"});
  ASSERT_TRUE(serving) << serving.error().message();
  EXPECT_EQ(Verify(serving->chain_pem, root->certificate_pem(), X509_PURPOSE_SSL_SERVER), "ok");
  auto certificate = ParseCertificate(serving->chain_pem);
  EXPECT_EQ(X509_check_host(certificate->get(), "localhost", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_ip_asc(certificate->get(), "127.0.0.1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(certificate->get(), "::1", 0), 1);
  EXPECT_EQ(*NotAfter(*certificate), *NotAfter(*ParseCertificate(root->certificate_pem())));
}

TEST_F(RootTest, TheRootIsKeptOverARestartWithTheKeyForItsOwnerOnly) {
  std::string first = Open()->certificate_pem();
  EXPECT_EQ(Open()->certificate_pem(), first);
  EXPECT_EQ(callers::ReadPublicFile(folder_ / "data/root-cert.pem").value_or(""), first);
  struct stat status{};
  ASSERT_EQ(stat((folder_ / "data/root-key.pem").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(RootTest, AFirstStartThatWasCutShortIsFinishedWithTheSameKey) {
  ASSERT_TRUE(Open());
  std::string key = *callers::ReadSecretFile(folder_ / "data/root-key.pem");
  std::filesystem::remove(folder_ / "data/root-cert.pem");
  ASSERT_TRUE(Open());
  EXPECT_EQ(*callers::ReadSecretFile(folder_ / "data/root-key.pem"), key);
}

TEST_F(RootTest, DamagedFilesAreErrorsAndNothingIsReplaced) {
  ASSERT_TRUE(Open());
  std::string key = *callers::ReadSecretFile(folder_ / "data/root-key.pem");
  ASSERT_TRUE(callers::KeepFile(folder_ / "data/root-key.pem", "nonsense", 0600));
  EXPECT_THAT(ErrorOf(), HasSubstr("root-key.pem: no private key in PEM"));
  EXPECT_EQ(*callers::ReadSecretFile(folder_ / "data/root-key.pem"), "nonsense");

  ASSERT_TRUE(callers::KeepFile(folder_ / "data/root-key.pem", key, 0640));
  EXPECT_THAT(ErrorOf(), HasSubstr("others than its owner can read it"));

  ASSERT_TRUE(callers::KeepFile(folder_ / "data/root-key.pem", *ToPem(*MakeP256Key()), 0600));
  EXPECT_THAT(ErrorOf(), HasSubstr("is not the key of"));

  std::filesystem::remove(folder_ / "data/root-key.pem");
  EXPECT_THAT(ErrorOf(), HasSubstr("put the key back"));

  ASSERT_TRUE(callers::KeepFile(folder_ / "data/root-key.pem", key, 0600));
  ASSERT_TRUE(callers::KeepFile(folder_ / "data/root-cert.pem", "nonsense", 0644));
  EXPECT_THAT(ErrorOf(), HasSubstr("root-cert.pem: no certificate in PEM"));
}

TEST_F(RootTest, AnExpiredRootIsAnError) {
  ASSERT_TRUE(Open());
  clock_.now += hours(24 * 3651);
  EXPECT_THAT(ErrorOf(), HasSubstr("has expired"));
}

}  // namespace
}  // namespace ambit::ca
