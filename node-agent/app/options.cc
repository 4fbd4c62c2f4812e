#include "node-agent/app/options.h"

#include <CLI/CLI.hpp>
#include <array>
#include <filesystem>
#include <map>
#include <utility>

namespace ambit::agent {
namespace {

struct Setting {
  const char* flag;
  const char* variable;
  const char* help;
};

constexpr std::array kSettings{
    Setting{"--node-name", "NODE_NAME", "this node; empty takes pods of every node"},
    Setting{"--manifests", "AMBIT_MANIFESTS", "folder of Kubernetes manifests to watch"},
    Setting{"--agent-socket", "AMBIT_AGENT_SOCKET",
            "where CNI plugins ask [/run/ambit/agent.sock]"},
    Setting{"--ztunnel-uds-address", "ZTUNNEL_UDS_ADDRESS",
            "where tunnels connect [/var/run/ztunnel/ztunnel.sock]"},
    Setting{"--state-folder", "AMBIT_STATE_FOLDER",
            "what a restarted agent must know [folder of the agent socket]"},
    Setting{"--ambient-dns-capture", "AMBIENT_DNS_CAPTURE", "true: pods' DNS goes to the tunnel"},
    Setting{"--ambient-ipv6", "AMBIENT_IPV6", "false: IPv4 rules only [true]"},
    Setting{"--ambient-enablement-selector", "AMBIENT_ENABLEMENT_SELECTOR",
            "YAML list of selectors; empty: the label istio.io/dataplane-mode"},
    Setting{"--exclude-namespaces", "EXCLUDE_NAMESPACES", "comma list, never captured"},
    Setting{"--host-probe-snat-ip", "HOST_PROBE_SNAT_IP", "kubelet's address in pods, IPv4"},
    Setting{"--host-probe-snat-ipv6", "HOST_PROBE_SNAT_IPV6", "kubelet's address in pods, IPv6"},
    Setting{"--kubelet-uid", "AMBIT_KUBELET_UID", "owner of kubelet's sockets [0]"},
    Setting{"--monitoring-port", "MONITORING_PORT", "/metrics; 0: off [15014]"},
    Setting{"--health-port", "AMBIT_HEALTH_PORT", "/healthz and /readyz; 0: off [8000]"},
    Setting{"--status-needs-tunnel", "AMBIT_STATUS_NEEDS_TUNNEL",
            "true: CNI STATUS fails while no tunnel is connected; under kubelet this keeps the "
            "tunnel's own pod from starting [false]"},
    Setting{"--verify-interval", "AMBIT_VERIFY_INTERVAL",
            "how often the rules of running pods are compared; 0: only at start [60s]"},
    Setting{"--log-level", "AMBIT_LOG_LEVEL",
            "trace, debug, info, warn, error; scope=level [info]"},
    Setting{"--log-format", "LOG_FORMAT", "plain or json [plain]"},
};

std::vector<std::string> SplitComma(const std::string& text) {
  std::vector<std::string> items;
  size_t begin = 0;
  while (begin <= text.size()) {
    size_t end = std::min(text.find(',', begin), text.size());
    std::string item = text.substr(begin, end - begin);
    std::erase(item, ' ');
    if (!item.empty()) items.push_back(std::move(item));
    begin = end + 1;
  }
  return items;
}

// Reads variables; the first error stays.
class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  // Empty counts as absent: charts write variables that they have no value for.
  void Text(const char* name, std::string& into) {
    std::string text = environment_.Text(name, "");
    if (!text.empty()) into = std::move(text);
  }
  template <typename Integer>
  void Number(const char* name, Integer& into, int64_t high) {
    if (environment_.Text(name, "").empty()) return;
    Take(environment_.Integer(name, into, 0, high),
         [&into](int64_t value) { into = static_cast<Integer>(value); });
  }
  void Bool(const char* name, bool& into) {
    if (environment_.Text(name, "").empty()) return;
    Take(environment_.Bool(name, into), [&into](bool value) { into = value; });
  }
  void Duration(const char* name, std::chrono::milliseconds& into) {
    if (environment_.Text(name, "").empty()) return;
    Take(environment_.Duration(name, into), [&into](auto value) { into = value; });
  }
  void Address(const char* name, net::Family family, net::IpAddress& into) {
    std::string text = environment_.Text(name, "");
    if (text.empty()) return;
    auto parsed = net::IpAddress::Parse(text);
    if (!parsed || parsed->family() != family) {
      const char* wanted = family == net::Family::kIpv4 ? "an IPv4" : "an IPv6";
      return Refuse(Error(ErrorCode::kInvalidArgument,
                          std::string(name) + "=\"" + text + "\" is not " + wanted + " address"));
    }
    into = *parsed;
  }
  void Refuse(Error error) {
    if (!error_) error_ = std::move(error);
  }
  const std::optional<Error>& error() const { return error_; }

 private:
  template <typename Value, typename Apply>
  void Take(Result<Value> value, Apply apply) {
    if (value) {
      apply(*value);
    } else {
      Refuse(value.error());
    }
  }

  const Environment& environment_;
  std::optional<Error> error_;
};

void ReadSelection(Reader& reader, const Environment& environment, Options& options) {
  options.selection = k8s::MeshSelection::Default();
  if (auto yaml = environment.Text("AMBIENT_ENABLEMENT_SELECTOR", ""); !yaml.empty()) {
    auto parsed = k8s::MeshSelection::ParseSelectors(yaml);
    if (parsed) {
      options.selection = std::move(*parsed);
    } else {
      reader.Refuse(parsed.error().Wrap("AMBIENT_ENABLEMENT_SELECTOR"));
    }
  }
  options.selection.excluded_namespaces = SplitComma(environment.Text("EXCLUDE_NAMESPACES", ""));
}

void ReadLog(Reader& reader, const Environment& environment, Options& options) {
  reader.Text("AMBIT_LOG_LEVEL", options.log.filter);
  std::string format = environment.Text("LOG_FORMAT", "plain");
  if (format == "json") {
    options.log.format = observe::Log::Format::kJson;
  } else if (!format.empty() && format != "plain") {
    reader.Refuse(Error(ErrorCode::kInvalidArgument,
                        "LOG_FORMAT=\"" + format + "\" is neither plain nor json"));
  }
}

}  // namespace

Invocation ParseCommandLine(int argc, const char* const* argv, const Environment& process) {
  CLI::App app("Ambit's node agent: decides which pods are in the mesh and puts them there.",
               "ambit-agent");
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", "ambit-agent " AMBIT_VERSION);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return "ambit-agent: " + std::string(error.what()) + "; see --help\n";
  });
  CLI::App* run = app.add_subcommand("run", "run on this node until SIGTERM");
  run->footer("Each flag can be set by the variable in brackets before its text.");
  std::map<std::string, std::string> values;
  std::map<std::string, CLI::Option*> given;
  for (const Setting& setting : kSettings) {
    std::string help = "[" + std::string(setting.variable) + "] " + setting.help;
    given[setting.variable] = run->add_option(setting.flag, values[setting.variable], help);
  }
  Invocation invocation;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream text;
    invocation.exit_status = app.exit(error, text, text) == 0 ? 0 : 2;
    invocation.text = text.str();
    return invocation;
  }
  if (!run->parsed()) {
    invocation.exit_status = 2;
    invocation.text = "ambit-agent: a command is required: run; see --help\n";
    return invocation;
  }
  Environment::Map merged = process.all();
  for (const auto& [variable, option] : given) {
    if (option->count() > 0) merged[variable] = values[variable];
  }
  invocation.environment = Environment(std::move(merged));
  invocation.run = true;
  return invocation;
}

Result<Options> ReadOptions(const Environment& environment) {
  Options options;
  Reader reader(environment);
  reader.Text("NODE_NAME", options.node_name);
  reader.Text("AMBIT_MANIFESTS", options.manifests);
  reader.Text("AMBIT_AGENT_SOCKET", options.agent_socket);
  reader.Text("ZTUNNEL_UDS_ADDRESS", options.zds_socket);
  options.state_folder = std::filesystem::path(options.agent_socket).parent_path().string();
  reader.Text("AMBIT_STATE_FOLDER", options.state_folder);
  reader.Bool("AMBIENT_DNS_CAPTURE", options.redirect.dns_capture);
  reader.Bool("AMBIENT_IPV6", options.redirect.ipv6);
  reader.Address("HOST_PROBE_SNAT_IP", net::Family::kIpv4, options.redirect.probe_v4);
  reader.Address("HOST_PROBE_SNAT_IPV6", net::Family::kIpv6, options.redirect.probe_v6);
  reader.Number("AMBIT_KUBELET_UID", options.kubelet_uid, UINT32_MAX);
  reader.Number("MONITORING_PORT", options.monitoring_port, UINT16_MAX);
  reader.Number("AMBIT_HEALTH_PORT", options.health_port, UINT16_MAX);
  reader.Bool("AMBIT_STATUS_NEEDS_TUNNEL", options.status_needs_tunnel);
  reader.Duration("AMBIT_VERIFY_INTERVAL", options.verify_interval);
  ReadSelection(reader, environment, options);
  ReadLog(reader, environment, options);
  if (options.manifests.empty()) {
    reader.Refuse(Error(ErrorCode::kInvalidArgument,
                        "AMBIT_MANIFESTS (--manifests) must name the folder of manifests"));
  }
  if (reader.error()) return Fail(*reader.error());
  return options;
}

}  // namespace ambit::agent
