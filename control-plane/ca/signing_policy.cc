#include "control-plane/ca/signing_policy.h"

#include "control-plane/callers/spiffe.h"

namespace ambit::ca {
namespace {

Result<std::string> NameAskedFor(const SigningQuestion& question) {
  if (question.uri_names.size() > 1) {
    return Fail(ErrorCode::kInvalidArgument, "the certificate request has several URI names");
  }
  if (question.uri_names.empty() && question.impersonated.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "neither ImpersonatedIdentity nor the certificate request names an identity");
  }
  if (question.uri_names.empty()) return question.impersonated;
  const std::string& name = question.uri_names.front();
  if (!question.impersonated.empty() && name != question.impersonated) {
    return Fail(ErrorCode::kInvalidArgument,
                "the certificate request is for another identity than ImpersonatedIdentity");
  }
  return name;
}

}  // namespace

Result<std::string> NameToSign(const SigningQuestion& question, const std::string& trust_domain,
                               const index::NodeAccounts& accounts) {
  auto name = NameAskedFor(question);
  if (!name) return name;
  if (*name == callers::NodeUri(trust_domain, question.node)) return name;
  auto workload = callers::ParseWorkloadName(*name);
  if (!workload) return Fail(workload.error());
  if (workload->trust_domain != trust_domain) {
    return Fail(ErrorCode::kPermissionDenied,
                *name + " is outside of trust domain " + trust_domain);
  }
  if (!accounts.Runs(question.node, workload->namespace_name, workload->service_account)) {
    return Fail(ErrorCode::kPermissionDenied,
                "no pod of " + *name + " runs on node " + question.node);
  }
  return name;
}

}  // namespace ambit::ca
