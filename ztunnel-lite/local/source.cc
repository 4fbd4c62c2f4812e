#include "ztunnel-lite/local/source.h"

#include <map>
#include <utility>

#include "ztunnel-lite/files/watched_file.h"

namespace ambit::local {

namespace {

constexpr char kScope[] = "local";

template <typename Ptr>
using Named = std::map<std::string, Ptr>;

Named<state::WorkloadPtr> ByName(const std::vector<state::WorkloadPtr>& workloads) {
  Named<state::WorkloadPtr> out;
  for (const auto& workload : workloads) out.emplace(workload->uid, workload);
  return out;
}

Named<state::ServicePtr> ByName(const std::vector<state::ServicePtr>& services) {
  Named<state::ServicePtr> out;
  for (const auto& service : services) out.emplace(service->Key(), service);
  return out;
}

Named<state::PolicyPtr> ByName(const std::vector<state::PolicyPtr>& policies) {
  Named<state::PolicyPtr> out;
  for (const auto& policy : policies) out.emplace(policy->resource_name, policy);
  return out;
}

// Keeps the old value of what did not change; `gone` gets what the new list lacks.
template <typename Ptr>
void Exchange(state::MeshState& mesh, const std::vector<Ptr>& before, std::vector<Ptr>& now,
              std::vector<Ptr>& gone) {
  Named<Ptr> old = ByName(before);
  Named<Ptr> fresh = ByName(now);
  for (Ptr& value : now) {
    std::string name = ByName({value}).begin()->first;
    auto found = old.find(name);
    if (found != old.end() && *found->second == *value) {
      value = found->second;
    } else {
      mesh.Upsert(value);
    }
  }
  for (const auto& [name, value] : old) {
    if (!fresh.contains(name)) gone.push_back(value);
  }
}

}  // namespace

class Source::Impl {
 public:
  explicit Impl(Context context) : context_(context) {}

  Result<void> Start();
  const Resources& loaded() const { return loaded_; }

 private:
  Result<void> Load(const std::string& origin, const Result<std::string>& content);
  void Apply(Resources now);

  const Context context_;
  Resources loaded_;
  std::unique_ptr<files::WatchedFile> file_;
};

Result<void> Source::Impl::Start() {
  const std::string& path = context_.config.local_xds_path;
  if (path.empty()) {
    if (context_.config.local_xds.empty()) return {};
    return Load("LOCAL_XDS", context_.config.local_xds);
  }
  file_ = std::make_unique<files::WatchedFile>(
      context_.control, files::WatchedFile::Options{path},
      [this, path](const Result<std::string>& content) {
        auto loaded = Load(path, content);
        if (loaded) return;
        context_.log.ErrorLine(kScope, loaded.error().message() + "; what was loaded before stays");
      });
  return Load(path, file_->Start());
}

Result<void> Source::Impl::Load(const std::string& origin, const Result<std::string>& content) {
  if (!content) return std::unexpected(content.error().Wrap("local configuration"));
  auto resources = ParseResources(*content);
  if (!resources) {
    return std::unexpected(resources.error().Wrap("local configuration " + origin));
  }
  Apply(*std::move(resources));
  context_.log.Info(kScope, "local configuration loaded",
                    {{"from", origin},
                     {"workloads", static_cast<int64_t>(loaded_.workloads.size())},
                     {"services", static_cast<int64_t>(loaded_.services.size())},
                     {"policies", static_cast<int64_t>(loaded_.policies.size())}});
  return {};
}

// The control plane may have put something of its own in the place of a value of the file; that
// stays.
void Source::Impl::Apply(Resources now) {
  state::MeshState& mesh = context_.mesh;
  Resources gone;
  Exchange(mesh, loaded_.workloads, now.workloads, gone.workloads);
  Exchange(mesh, loaded_.services, now.services, gone.services);
  Exchange(mesh, loaded_.policies, now.policies, gone.policies);
  for (const auto& workload : gone.workloads) {
    if (mesh.FindWorkload(workload->uid) == workload) mesh.RemoveAddress(workload->uid);
  }
  for (const auto& service : gone.services) {
    auto held = mesh.FindService({service->ns, service->hostname});
    if (held == service) mesh.RemoveAddress(service->Key());
  }
  for (const auto& policy : gone.policies) {
    if (mesh.FindPolicy(policy->resource_name) == policy) mesh.RemovePolicy(policy->resource_name);
  }
  loaded_ = std::move(now);
  mesh.Commit();
}

Source::Source(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Source::~Source() = default;

Result<std::unique_ptr<Source>> Source::Start(Context context) {
  auto impl = std::make_unique<Impl>(context);
  auto started = impl->Start();
  if (!started) return std::unexpected(started.error());
  return std::unique_ptr<Source>(new Source(std::move(impl)));
}

const Resources& Source::loaded() const { return impl_->loaded(); }

}  // namespace ambit::local
