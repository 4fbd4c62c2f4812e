#pragma once

#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace ambit::observe {

// The tasks that must be done before a program calls itself ready. Thread: any.
class Readiness {
 public:
  // A task is pending from here until MarkReady; it may become pending again.
  void MarkPending(std::string task);
  void MarkReady(const std::string& task);
  // Sorted names of what is pending; empty means ready.
  std::vector<std::string> Pending() const;

 private:
  mutable std::mutex mutex_;
  std::set<std::string> pending_;
};

}  // namespace ambit::observe
