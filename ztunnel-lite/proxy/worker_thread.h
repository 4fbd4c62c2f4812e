#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <random>
#include <thread>

#include "lib/base/error.h"
#include "lib/base/unique_fd.h"
#include "ztunnel-lite/hbone/worker.h"
#include "ztunnel-lite/proxy/route.h"
#include "ztunnel-lite/proxy/wait.h"

namespace ambit::proxy {

// Load balancing and trace ids; nothing secret. Thread  one.
class WorkerRandom : public Random {
 public:
  WorkerRandom();
  uint64_t Below(uint64_t bound) override;

 private:
  std::mt19937_64 engine_;
};

// One data-path thread with what all connections on it share.
// Threads  made and destroyed on the control thread; all else on the worker.
class WorkerThread {
 public:
  // Errors  kResourceExhausted: no thread or descriptor left.
  static Result<std::unique_ptr<WorkerThread>> Start(int index);
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;
  // Lets what is cut end for `kGrace`, then drops the rest.
  ~WorkerThread();

  hbone::Worker& worker() { return *worker_; }
  boost::asio::io_context& io() { return worker_->io(); }
  Random& random() { return random_; }
  // The namespace the thread lives in, to return to.
  int own_netns() const { return own_netns_.get(); }
  const std::shared_ptr<ChangeSignal>& mesh_changed() const { return mesh_changed_; }

 private:
  static constexpr std::chrono::milliseconds kGrace{500};
  WorkerThread() = default;

  UniqueFd own_netns_;
  std::unique_ptr<hbone::Worker> worker_ = std::make_unique<hbone::Worker>();
  WorkerRandom random_;
  std::shared_ptr<ChangeSignal> mesh_changed_ = std::make_shared<ChangeSignal>(worker_->io());
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      worker_->io().get_executor()};
  std::promise<void> ended_;
  std::thread thread_;
};

}  // namespace ambit::proxy
