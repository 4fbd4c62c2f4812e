#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ztunnel-lite/state/mesh_state.h"
#include "ztunnel-lite/telemetry/bounded_series.h"

namespace ambit::telemetry {

// The workloads that the mesh has, as labels name them. Borrows their texts.
class KnownWorkloads {
 public:
  // `workloads` outlive the object.
  explicit KnownWorkloads(const std::vector<state::WorkloadPtr>& workloads);

  // Whether the labels name a workload that is not there (any more). "unknown" is nobody.
  bool IsGone(const Labels& labels) const;

 private:
  using Names = std::set<std::pair<std::string_view, std::string_view>>;
  Names workloads_;   // namespace, workload name
  Names canonicals_;  // canonical name and revision
};

}  // namespace ambit::telemetry
