#include "control-plane/callers/authenticator.h"

#include <algorithm>
#include <cctype>

#include "control-plane/callers/spiffe.h"

namespace ambit::callers {
namespace {

constexpr std::string_view kBearer = "bearer ";

bool HasBearerPrefix(std::string_view value) {
  return value.size() > kBearer.size() &&
         std::equal(kBearer.begin(), kBearer.end(), value.begin(), [](char a, char b) {
           return a == std::tolower(static_cast<unsigned char>(b));
         });
}

}  // namespace

Result<Caller> Authenticator::Identify(const grpc::ServerContextBase& context) const {
  std::string seen = "no client certificate";
  auto peer = context.auth_context();
  for (const grpc::string_ref& uri : peer->FindPropertyValues("peer_uri")) {
    std::string text(uri.data(), uri.size());
    auto node = NodeOfUri(trust_domain_, text);
    if (node) return Caller{*node, "client certificate", context.peer()};
    seen = "a client certificate of " + text + ", which names no node";
  }
  auto header = context.client_metadata().find("authorization");
  if (header == context.client_metadata().end()) {
    return Fail(ErrorCode::kPermissionDenied, "the caller has " + seen + " and no bearer token");
  }
  std::string_view value(header->second.data(), header->second.size());
  if (!HasBearerPrefix(value)) {
    return Fail(ErrorCode::kPermissionDenied,
                "the caller has " + seen + " and an authorization header that is no bearer token");
  }
  auto node = tokens_.NodeOf(value.substr(kBearer.size()));
  if (!node) {
    return Fail(ErrorCode::kPermissionDenied,
                "the caller has " + seen + " and a bearer token that is not in the token file");
  }
  return Caller{*node, "token", context.peer()};
}

grpc::Status ToStatus(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kProtocol:
      return {grpc::StatusCode::INVALID_ARGUMENT, error.message()};
    case ErrorCode::kPermissionDenied:
      return {grpc::StatusCode::PERMISSION_DENIED, error.message()};
    case ErrorCode::kNotFound:
      return {grpc::StatusCode::NOT_FOUND, error.message()};
    case ErrorCode::kResourceExhausted:
      return {grpc::StatusCode::RESOURCE_EXHAUSTED, error.message()};
    default:
      return {grpc::StatusCode::INTERNAL, "the control plane failed; its log says why"};
  }
}

grpc::Status Unauthenticated(const Error& error) {
  return {grpc::StatusCode::UNAUTHENTICATED, error.message()};
}

}  // namespace ambit::callers
