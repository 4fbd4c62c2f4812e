#include "control-plane/ca/root.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <utility>

#include "control-plane/callers/kept_file.h"
#include "lib/net/address.h"

namespace ambit::ca {
namespace {

constexpr std::chrono::hours kRootValidity{24 * 3650};

struct Paths {
  std::string folder, key, certificate;
};

Result<void> MakeFolder(const std::string& folder) {
  std::error_code error;
  bool made = std::filesystem::create_directories(folder, error);
  if (error) return FailErrno(error.value(), "making folder " + folder);
  if (made && chmod(folder.c_str(), 0700) != 0) return FailErrno(errno, "chmod " + folder);
  return {};
}

Result<PrivateKey> MakeKey(const Paths& paths) {
  auto key = MakeP256Key();
  if (!key) return key;
  auto pem = ToPem(*key);
  if (!pem) return Fail(pem.error());
  auto kept = callers::KeepFile(paths.key, *pem, 0600);
  if (!kept) return Fail(kept.error());
  return key;
}

Result<std::string> MakeCertificate(const Paths& paths, const PrivateKey& key,
                                    const std::string& trust_domain, TimePoint now) {
  auto certificate =
      MakeAuthority(key, trust_domain + " mesh root", now - kBackdate, now + kRootValidity);
  if (!certificate) return Fail(certificate.error());
  auto pem = ToPem(*certificate);
  if (!pem) return pem;
  auto kept = callers::KeepFile(paths.certificate, *pem, 0644);
  if (!kept) return Fail(kept.error());
  return pem;
}

// The key from its file, or a new one where neither file exists.
Result<PrivateKey> LoadKey(const Paths& paths, bool certificate_exists) {
  auto text = callers::ReadSecretFile(paths.key);
  if (!text && text.error().code() != ErrorCode::kNotFound) return Fail(text.error());
  if (!text && certificate_exists) {
    return Fail(ErrorCode::kInvalidArgument,
                paths.certificate + " exists but its key " + paths.key +
                    " does not; put the key back, or remove the certificate to start a new root");
  }
  if (!text) return MakeKey(paths);
  auto key = ParsePrivateKey(*text);
  if (!key) return Fail(key.error().Wrap(paths.key));
  return key;
}

Result<void> Check(const Paths& paths, const Certificate& certificate, const PrivateKey& key) {
  if (!KeyMatches(certificate, key)) {
    return Fail(ErrorCode::kInvalidArgument, paths.key + " is not the key of " + paths.certificate);
  }
  if (!IsAuthority(certificate)) {
    return Fail(ErrorCode::kInvalidArgument,
                paths.certificate + " is not the certificate of an authority");
  }
  return {};
}

}  // namespace

Result<Root> Root::Open(const std::string& folder, const std::string& trust_domain,
                        const Clock& clock) {
  auto made = MakeFolder(folder);
  if (!made) return Fail(made.error());
  const Paths paths{folder, folder + "/root-key.pem", folder + "/root-cert.pem"};
  auto pem = callers::ReadPublicFile(paths.certificate);
  if (!pem && pem.error().code() != ErrorCode::kNotFound) return Fail(pem.error());
  auto key = LoadKey(paths, pem.has_value());
  if (!key) return Fail(key.error());
  if (!pem) pem = MakeCertificate(paths, *key, trust_domain, clock.Now());
  if (!pem) return Fail(pem.error());
  auto certificate = ParseCertificate(*pem);
  if (!certificate) return Fail(certificate.error().Wrap(paths.certificate));
  auto checked = Check(paths, *certificate, *key);
  if (!checked) return Fail(checked.error());
  auto end = NotAfter(*certificate);
  if (!end) return Fail(end.error().Wrap(paths.certificate));
  if (*end <= clock.Now()) {
    return Fail(ErrorCode::kInvalidArgument, paths.certificate + " has expired");
  }
  return Root(*std::move(key), *std::move(certificate), *std::move(pem), *end, clock);
}

Result<std::string> Root::SignWorkload(EVP_PKEY* key, const std::string& spiffe_uri,
                                       std::chrono::seconds validity) const {
  if (validity <= std::chrono::seconds::zero()) validity = kMaxLeafValidity;
  LeafOptions options;
  options.uri_names = {spiffe_uri};
  TimePoint now = clock_->Now();
  options.not_before = now - kBackdate;
  options.not_after = std::min(now + std::min(validity, kMaxLeafValidity), not_after_);
  auto leaf = SignLeaf({certificate_.get(), key_.get()}, key, options);
  if (!leaf) return Fail(leaf.error());
  return ToPem(*leaf);
}

Result<KeyAndChain> Root::MakeServing(const std::vector<std::string>& hostnames) const {
  auto key = MakeP256Key();
  if (!key) return Fail(key.error());
  LeafOptions options;
  options.common_name = "ambit-control";
  for (const std::string& name : hostnames) {
    bool is_address = net::IpAddress::Parse(name).has_value();
    (is_address ? options.ip_names : options.dns_names).push_back(name);
  }
  options.not_before = clock_->Now() - kBackdate;
  options.not_after = not_after_;
  auto leaf = SignLeaf({certificate_.get(), key_.get()}, key->get(), options);
  if (!leaf) return Fail(leaf.error());
  auto key_pem = ToPem(*key);
  auto leaf_pem = ToPem(*leaf);
  if (!key_pem) return Fail(key_pem.error());
  if (!leaf_pem) return Fail(leaf_pem.error());
  return KeyAndChain{*std::move(key_pem), *leaf_pem + certificate_pem_};
}

}  // namespace ambit::ca
