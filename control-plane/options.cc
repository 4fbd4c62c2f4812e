#include "control-plane/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "control-plane/callers/spiffe.h"

namespace ambit::control {
namespace {

// The flags as they are typed; checked and turned into Options afterwards.
struct Raw {
  std::string manifests, address, data, tokens, hostnames, port_file;
  std::string trust_domain, cluster_id, cluster_domain, log_level, log_format;
};

Raw Defaults(const Environment& environment) {
  Raw raw;
  raw.manifests = environment.Text("AMBIT_MANIFESTS", "");
  raw.address = environment.Text("AMBIT_CONTROL_ADDRESS", "0.0.0.0:15012");
  raw.data = environment.Text("AMBIT_CONTROL_DATA", "/var/lib/ambit-control");
  raw.tokens = environment.Text("AMBIT_CONTROL_TOKENS", "");
  raw.hostnames = environment.Text("AMBIT_CONTROL_HOSTNAMES", "");
  raw.trust_domain = environment.Text("TRUST_DOMAIN", "cluster.local");
  raw.cluster_id = environment.Text("CLUSTER_ID", "Kubernetes");
  raw.cluster_domain = environment.Text("CLUSTER_DOMAIN", "cluster.local");
  raw.log_level = environment.Text("AMBIT_LOG_LEVEL", "info");
  raw.log_format = environment.Text("LOG_FORMAT", "plain");
  return raw;
}

std::unique_ptr<CLI::App> Flags(Raw& raw) {
  auto app = std::make_unique<CLI::App>(
      "Serves the workload API (delta xDS) and the mesh's certificate authority on one port, from "
      "a "
      "folder of Kubernetes manifests.",
      "ambit-control");
  app->set_version_flag("--version", AMBIT_VERSION);
  auto add = [&app](const char* flag, std::string& value, const char* text) {
    app->add_option(flag, value, text)->capture_default_str();
  };
  add("--manifests", raw.manifests, "Folder with *.yaml, *.yml, *.json (AMBIT_MANIFESTS)");
  add("--address", raw.address, "IP:port to serve on, port 0: any (AMBIT_CONTROL_ADDRESS)");
  add("--data", raw.data, "Folder of the root's key and certificate (AMBIT_CONTROL_DATA)");
  add("--tokens", raw.tokens, "File with lines \"token,node\" (AMBIT_CONTROL_TOKENS)");
  add("--hostnames", raw.hostnames,
      "More names or addresses of the serving certificate, with commas "
      "(AMBIT_CONTROL_HOSTNAMES)");
  add("--port-file", raw.port_file, "File that gets the port once it is served");
  add("--trust-domain", raw.trust_domain, "Trust domain of all identities (TRUST_DOMAIN)");
  add("--cluster-id", raw.cluster_id, "Name of the cluster (CLUSTER_ID)");
  add("--cluster-domain", raw.cluster_domain, "DNS suffix of services (CLUSTER_DOMAIN)");
  add("--log-level", raw.log_level, "Level, or scope=level with commas (AMBIT_LOG_LEVEL)");
  add("--log-format", raw.log_format, "plain or json (LOG_FORMAT)");
  return app;
}

std::vector<std::string> CommaList(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    size_t begin = item.find_first_not_of(' ');
    if (begin == std::string_view::npos) continue;
    items.emplace_back(item.substr(begin, item.find_last_not_of(' ') - begin + 1));
  }
  return items;
}

std::unexpected<Error> Bad(const std::string& what) {
  return Fail(ErrorCode::kInvalidArgument, what);
}

Result<Options> Check(const Raw& raw) {
  Options options;
  if (raw.manifests.empty()) {
    return Bad("--manifests (or AMBIT_MANIFESTS) must name a folder of Kubernetes manifests");
  }
  if (raw.data.empty()) return Bad("--data (or AMBIT_CONTROL_DATA) must name a folder");
  auto address = net::Endpoint::Parse(raw.address);
  if (!address) return Fail(address.error().Wrap("--address (or AMBIT_CONTROL_ADDRESS)"));
  if (!callers::ParseWorkloadName("spiffe://" + raw.trust_domain + "/ns/a/sa/a")) {
    return Bad("--trust-domain (or TRUST_DOMAIN): \"" + raw.trust_domain +
               "\" is not made of a-z, 0-9, '.', '-' and '_'");
  }
  if (raw.cluster_id.empty() || raw.cluster_domain.empty()) {
    return Bad("--cluster-id and --cluster-domain must not be empty");
  }
  if (raw.log_format != "plain" && raw.log_format != "json") {
    return Bad("--log-format (or LOG_FORMAT) must be plain or json, not \"" + raw.log_format +
               "\"");
  }
  options.manifests = raw.manifests;
  options.address = *address;
  options.data = raw.data;
  options.tokens = raw.tokens;
  options.hostnames = CommaList(raw.hostnames);
  options.port_file = raw.port_file;
  options.names = {raw.cluster_id, raw.trust_domain, raw.cluster_domain, ""};
  options.log_filter = raw.log_level;
  options.log_format =
      raw.log_format == "json" ? observe::Log::Format::kJson : observe::Log::Format::kPlain;
  return options;
}

}  // namespace

Result<std::variant<Options, Text>> ParseOptions(const std::vector<std::string>& arguments,
                                                 const Environment& environment) {
  Raw raw = Defaults(environment);
  auto flags = Flags(raw);
  // CLI11 reports by exceptions; they end here. It takes the arguments last first.
  try {
    flags->parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    return Text{flags->help()};
  } catch (const CLI::CallForVersion&) {
    return Text{std::string("ambit-control ") + AMBIT_VERSION + "\n"};
  } catch (const CLI::Error& problem) {
    return Bad(std::string(problem.what()) + "; see --help");
  }
  auto options = Check(raw);
  if (!options) return Fail(options.error());
  return *std::move(options);
}

}  // namespace ambit::control
