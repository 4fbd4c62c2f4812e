#include "lib/observe/readiness.h"

namespace ambit::observe {

void Readiness::MarkPending(std::string task) {
  std::lock_guard lock(mutex_);
  pending_.insert(std::move(task));
}

void Readiness::MarkReady(const std::string& task) {
  std::lock_guard lock(mutex_);
  pending_.erase(task);
}

std::vector<std::string> Readiness::Pending() const {
  std::lock_guard lock(mutex_);
  return {pending_.begin(), pending_.end()};
}

}  // namespace ambit::observe
