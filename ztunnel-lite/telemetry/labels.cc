#include "ztunnel-lite/telemetry/labels.h"

namespace ambit::telemetry {

namespace {

using Labels = std::vector<prometheus::ClientMetric::Label>;

void Add(Labels& labels, const char* name, std::string_view value) {
  labels.push_back({name, std::string(value.empty() ? "unknown" : value)});
}

// Prefixed names as literals, so that no label costs a concatenation.
struct SideNames {
  const char *workload, *service, *revision, *ns, *principal, *app, *version, *cluster;
};
constexpr SideNames kSource = {"source_workload",
                               "source_canonical_service",
                               "source_canonical_revision",
                               "source_workload_namespace",
                               "source_principal",
                               "source_app",
                               "source_version",
                               "source_cluster"};
constexpr SideNames kDestination = {"destination_workload",
                                    "destination_canonical_service",
                                    "destination_canonical_revision",
                                    "destination_workload_namespace",
                                    "destination_principal",
                                    "destination_app",
                                    "destination_version",
                                    "destination_cluster"};

void AddSide(Labels& labels, const SideNames& names, const state::WorkloadPtr& workload,
             std::string_view principal) {
  static const state::Workload kUnknown = [] {
    state::Workload unknown;
    unknown.cluster_id.clear();
    return unknown;
  }();
  const state::Workload& side = workload ? *workload : kUnknown;
  Add(labels, names.workload, side.workload_name);
  Add(labels, names.service, side.canonical_name);
  Add(labels, names.revision, side.canonical_revision);
  Add(labels, names.ns, side.ns);
  Add(labels, names.principal, principal);
  Add(labels, names.app, side.canonical_name);
  Add(labels, names.version, side.canonical_revision);
  Add(labels, names.cluster, side.cluster_id);
}

}  // namespace

std::string_view FlagText(Flag flag) {
  switch (flag) {
    case Flag::kNone:
      return "-";
    case Flag::kDeny:
      return "DENY";
    case Flag::kConnect:
      return "CONNECT";
    case Flag::kTlsFailure:
      return "TLS_FAILURE";
    case Flag::kH2HandshakeFailure:
      return "H2_HANDSHAKE_FAILURE";
    case Flag::kNetworkPolicy:
      return "NETWORK_POLICY";
    case Flag::kIdentityError:
      return "IDENTITY_ERROR";
    case Flag::kCertRevoked:
      return "CERT_REVOKED";
  }
  return "CONNECT";
}

std::vector<prometheus::ClientMetric::Label> SourceLabels(const state::WorkloadPtr& source,
                                                          std::string_view principal) {
  Labels labels;
  AddSide(labels, kSource, source, principal);
  return labels;
}

std::vector<prometheus::ClientMetric::Label> TrafficLabels(const ConnectionInfo& info, Flag flag) {
  Labels labels;
  labels.reserve(27);
  Add(labels, "reporter", info.reporter == Reporter::kSource ? "source" : "destination");
  AddSide(labels, kSource, info.source_workload, info.mutual_tls ? info.source_identity : "");
  const state::Service* service = info.destination_service.get();
  Add(labels, "destination_service", service ? service->hostname : "");
  Add(labels, "destination_service_namespace", service ? service->ns : "");
  Add(labels, "destination_service_name", service ? service->name : "");
  const auto& destination = info.destination_workload;
  AddSide(labels, kDestination, destination, destination ? destination->identity().Uri() : "");
  Add(labels, "request_protocol", "tcp");
  Add(labels, "response_flags", FlagText(flag));
  Add(labels, "connection_security_policy", info.mutual_tls ? "mutual_tls" : "unknown");
  const auto& source = info.source_workload;
  if (source || destination) {
    Add(labels, "source_region", source ? source->locality.region : "");
    Add(labels, "source_zone", source ? source->locality.zone : "");
    Add(labels, "destination_region", destination ? destination->locality.region : "");
    Add(labels, "destination_zone", destination ? destination->locality.zone : "");
  }
  return labels;
}

}  // namespace ambit::telemetry
