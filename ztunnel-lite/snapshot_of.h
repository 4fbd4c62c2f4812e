#pragma once

#include "ztunnel-lite/admin/snapshot.h"
#include "ztunnel-lite/identity/credential_cache.h"
#include "ztunnel-lite/local/source.h"
#include "ztunnel-lite/telemetry/traffic_meter.h"
#include "ztunnel-lite/zds/pod_set.h"

namespace ambit {

// What /config_dump shows, gathered from those who know it; `local` may be null. Control
// thread.
admin::Snapshot SnapshotOf(const config::Config& config, const state::MeshState& mesh,
                           const identity::CredentialCache& credentials, const zds::PodSet* pods,
                           const telemetry::TrafficMeter& traffic, const local::Source* local);

}  // namespace ambit
