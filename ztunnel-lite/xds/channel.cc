#include "ztunnel-lite/xds/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

namespace ambit::xds {

namespace {

constexpr char kPlainScheme[] = "http://";
constexpr char kTlsScheme[] = "https://";
constexpr int kMaxMessageBytes = 200 << 20;
constexpr const char* kSystemRoots[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt"};

Result<std::string> ReadFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return FailErrno(errno != 0 ? errno : EIO, "reading " + path);
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad()) return FailErrno(errno != 0 ? errno : EIO, "reading " + path);
  return text.str();
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool IsPlain(const std::string& address) { return address.starts_with(kPlainScheme); }

std::string Target(const std::string& address) {
  std::string_view rest = address;
  for (std::string_view scheme : {kPlainScheme, kTlsScheme}) {
    if (rest.starts_with(scheme)) rest.remove_prefix(scheme.size());
  }
  return std::string(rest.substr(0, rest.find('/')));
}

ChannelOptions Common(const config::Config& config) {
  ChannelOptions options;
  options.token_path = config.auth_token_path;
  options.token_literal = config.auth_token_literal;
  options.cluster_id = config.cluster_id;
  return options;
}

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  // Retries are ours: a shared subchannel would keep the old roots and a backoff of its own.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return arguments;
}

}  // namespace

ChannelOptions XdsChannelOptions(const config::Config& config) {
  ChannelOptions options = Common(config);
  options.address = config.xds_address;
  options.root_ca = config.xds_root_ca;
  options.alt_hostname = config.alt_xds_hostname;
  options.headers = config.xds_headers;
  return options;
}

ChannelOptions CaChannelOptions(const config::Config& config) {
  ChannelOptions options = Common(config);
  options.address = config.ca_address;
  options.root_ca = config.ca_root_ca;
  options.alt_hostname = config.alt_ca_hostname;
  options.headers = config.ca_headers;
  return options;
}

Result<std::string> ReadRoots(const std::string& root_ca) {
  if (root_ca.find("-----BEGIN") != std::string::npos) return root_ca;
  std::string path = root_ca;
  if (root_ca == "SYSTEM") {
    for (const char* candidate : kSystemRoots) {
      std::error_code ignored;
      path = candidate;
      if (std::filesystem::exists(candidate, ignored)) break;
    }
  }
  auto text = ReadFile(path);
  if (!text) return std::unexpected(text.error().Wrap("root certificates"));
  if (text->find("-----BEGIN") == std::string::npos) {
    return Fail(ErrorCode::kInvalidArgument, "root certificates: " + path + " holds none");
  }
  return text;
}

Result<std::string> ReadToken(const ChannelOptions& options) {
  if (options.token_path.empty()) return std::string(Trim(options.token_literal));
  auto text = ReadFile(options.token_path);
  if (!text) return std::unexpected(text.error().Wrap("token"));
  std::string token(Trim(*text));
  if (token.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "token: " + options.token_path + " is empty");
  }
  return token;
}

Result<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options, ServerName name) {
  grpc::ChannelArguments arguments = Arguments();
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (IsPlain(options.address)) {
    credentials = grpc::InsecureChannelCredentials();
  } else {
    auto roots = ReadRoots(options.root_ca);
    if (!roots) return std::unexpected(roots.error());
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = std::move(*roots);
    credentials = grpc::SslCredentials(tls);
    if (name == ServerName::kAlternative && !options.alt_hostname.empty()) {
      arguments.SetSslTargetNameOverride(options.alt_hostname);
    }
  }
  return grpc::CreateCustomChannel(Target(options.address), credentials, arguments);
}

Result<void> AddHeaders(const ChannelOptions& options, grpc::ClientContext& context) {
  if (!IsPlain(options.address)) {
    auto token = ReadToken(options);
    if (!token) return std::unexpected(token.error());
    if (!token->empty()) context.AddMetadata("authorization", "Bearer " + *token);
  }
  context.AddMetadata("clusterid", options.cluster_id);
  for (const auto& [name, value] : options.headers) context.AddMetadata(name, value);
  return {};
}

}  // namespace ambit::xds
