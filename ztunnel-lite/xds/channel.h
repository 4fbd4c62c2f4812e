#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <cstdint>
#include <memory>
#include <string>

#include "lib/base/environment.h"
#include "lib/base/error.h"
#include "ztunnel-lite/config/config.h"

// Purpose  gRPC channels to the control plane: discovery and certificates.
// Threads  values; channels are gRPC's and safe from any thread.
namespace ambit::xds {

struct ChannelOptions {
  std::string address;  // https://host:port; http:// is plaintext and carries no token
  // A file, "SYSTEM" for the trust store of the operating system, or PEM text.
  std::string root_ca;
  std::string alt_hostname;  // a second name the server may prove
  std::string token_path, token_literal;
  std::string cluster_id;
  Environment::Map headers;
};

ChannelOptions XdsChannelOptions(const config::Config& config);
ChannelOptions CaChannelOptions(const config::Config& config);

// What proves the control plane's identity, read now.
// Errors  kNotFound, kIo, kInvalidArgument: there is nothing in it. The caller tries again later: a
//         file that is not there yet must never become an empty trust store.
Result<std::string> ReadRoots(const std::string& root_ca);

// The token as it stands in the file now, without surrounding white space; empty if none is set up.
// Errors  kNotFound, kIo, kInvalidArgument: the file is empty.
Result<std::string> ReadToken(const ChannelOptions& options);

enum class ServerName : uint8_t { kFromAddress, kAlternative };

// A channel of its own that connects with the first call. The server has to prove one name: that of
// the address or the alternative one; who accepts both tries one after the other.
Result<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options, ServerName name);

// Authorization, cluster and extra headers. Errors  as ReadToken.
Result<void> AddHeaders(const ChannelOptions& options, grpc::ClientContext& context);

}  // namespace ambit::xds
