#include "ztunnel-lite/local/resources.h"

#include <map>
#include <utility>

#include "ztunnel-lite/local/read.h"

namespace ambit::local {

namespace {

// What is being read; workloads stay open until the services have named their endpoints.
struct Draft {
  std::vector<state::Workload> workloads;
  std::map<std::string, size_t> by_uid;
  std::vector<ServiceEndpoints> services;
  std::map<std::string, int> service_lines, policy_lines;
  std::vector<state::Policy> policies;
};

void OnlyOnce(std::map<std::string, int>& lines, const std::string& name, const YamlValue& at,
              Report& report) {
  auto [first, inserted] = lines.emplace(name, at.line);
  if (inserted) return;
  report.Add(at, name + " stands at line " + std::to_string(first->second) + " already");
}

void ReadSections(const YamlValue& root, Draft& draft, Report& report) {
  Fields fields(root, "local configuration", report);
  if (const YamlValue* list = fields.FindUnlessNull("workloads")) {
    std::map<std::string, int> lines;
    for (const YamlValue& item : ItemsOf(*list, report)) {
      state::Workload workload = ReadWorkload(item, report);
      OnlyOnce(lines, "workload " + workload.uid, item, report);
      draft.by_uid.emplace(workload.uid, draft.workloads.size());
      draft.workloads.push_back(std::move(workload));
    }
  }
  if (const YamlValue* list = fields.FindUnlessNull("services")) {
    for (const YamlValue& item : ItemsOf(*list, report)) {
      ServiceEndpoints service = ReadService(item, report);
      OnlyOnce(draft.service_lines, "service " + service.service.Key(), item, report);
      draft.services.push_back(std::move(service));
    }
  }
  if (const YamlValue* list = fields.FindUnlessNull("policies")) {
    for (const YamlValue& item : ItemsOf(*list, report)) {
      state::Policy policy = ReadPolicy(item, report);
      OnlyOnce(draft.policy_lines, "policy " + policy.resource_name, item, report);
      draft.policies.push_back(std::move(policy));
    }
  }
}

// An endpoint says the same as a workload that names the service.
void JoinEndpoints(Draft& draft, Report& report) {
  for (const ServiceEndpoints& service : draft.services) {
    for (const auto& endpoint : service.endpoints) {
      auto found = draft.by_uid.find(endpoint.workload_uid);
      if (found == draft.by_uid.end()) {
        report.Add(*endpoint.at, "endpoint of the workload \"" + endpoint.workload_uid +
                                     "\", which is not in the file");
        continue;
      }
      state::Workload& workload = draft.workloads[found->second];
      if (endpoint.healthy && *endpoint.healthy != workload.healthy) {
        report.Add(*endpoint.at, "an endpoint has the status of its workload, not another one");
      }
      workload.services[service.service.Key()].insert(endpoint.ports.begin(), endpoint.ports.end());
    }
  }
}

}  // namespace

Result<Resources> ParseResources(std::string_view yaml) {
  auto root = ParseYaml(yaml);
  if (!root) return std::unexpected(root.error());
  Resources out;
  if (root->kind == YamlValue::Kind::kNull) return out;
  Report report;
  Draft draft;
  ReadSections(*root, draft, report);
  JoinEndpoints(draft, report);
  if (!report.empty()) return Fail(report.Take());
  for (auto& workload : draft.workloads) {
    out.workloads.push_back(std::make_shared<const state::Workload>(std::move(workload)));
  }
  for (auto& service : draft.services) {
    out.services.push_back(std::make_shared<const state::Service>(std::move(service.service)));
  }
  for (auto& policy : draft.policies) {
    out.policies.push_back(std::make_shared<const state::Policy>(std::move(policy)));
  }
  return out;
}

}  // namespace ambit::local
