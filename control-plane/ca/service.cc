#include "control-plane/ca/service.h"

#include <chrono>

#include "control-plane/ca/signing_policy.h"

namespace ambit::ca {
namespace {

using istio::v1::auth::IstioCertificateRequest;
using istio::v1::auth::IstioCertificateResponse;

constexpr char kScope[] = "ca";
constexpr size_t kMaxRequestBytes = 65536;

Result<std::string> ImpersonatedIdentity(const IstioCertificateRequest& request) {
  auto found = request.metadata().fields().find("ImpersonatedIdentity");
  if (found == request.metadata().fields().end()) return std::string();
  if (found->second.kind_case() != google::protobuf::Value::kStringValue) {
    return Fail(ErrorCode::kInvalidArgument, "ImpersonatedIdentity is not a string");
  }
  return found->second.string_value();
}

}  // namespace

Result<std::string> CertificateService::Sign(const callers::Caller& caller,
                                             const IstioCertificateRequest& request) const {
  if (request.csr().size() > kMaxRequestBytes) {
    return Fail(ErrorCode::kInvalidArgument, "the certificate request is larger than 64 KiB");
  }
  auto impersonated = ImpersonatedIdentity(request);
  if (!impersonated) return impersonated;
  auto csr = ParseRequest(request.csr());
  if (!csr) return Fail(csr.error());
  auto name =
      NameToSign({caller.node, *impersonated, csr->uri_names}, trust_domain_, parts_.accounts);
  if (!name) return name;
  auto leaf = parts_.root.SignWorkload(csr->key.get(), *name,
                                       std::chrono::seconds(request.validity_duration()));
  if (leaf) {
    parts_.log.Debug(kScope, "certificate signed", {{"identity", *name}, {"node", caller.node}});
  }
  return leaf;
}

grpc::Status CertificateService::Answer(const grpc::ServerContextBase& context,
                                        const IstioCertificateRequest& request,
                                        IstioCertificateResponse& response) const {
  auto caller = parts_.authenticator.Identify(context);
  if (!caller) {
    parts_.log.Warn(kScope, "certificate refused: " + caller.error().message(),
                    {{"peer", context.peer()}});
    return callers::Unauthenticated(caller.error());
  }
  auto leaf = Sign(*caller, request);
  if (!leaf) {
    parts_.log.Warn(kScope, "certificate refused: " + leaf.error().message(),
                    {{"node", caller->node}, {"peer", caller->address}});
    return callers::ToStatus(leaf.error());
  }
  response.add_cert_chain(*std::move(leaf));
  response.add_cert_chain(parts_.root.certificate_pem());
  return grpc::Status::OK;
}

grpc::ServerUnaryReactor* CertificateService::CreateCertificate(
    grpc::CallbackServerContext* context, const IstioCertificateRequest* request,
    IstioCertificateResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(Answer(*context, *request, *response));
  return reactor;
}

}  // namespace ambit::ca
