#include "ztunnel-lite/proxy/worker_thread.h"

#include <pthread.h>

#include <string>
#include <system_error>

#include "lib/net/netns.h"

namespace ambit::proxy {

WorkerRandom::WorkerRandom() {
  std::random_device seed;
  std::seed_seq sequence{seed(), seed(), seed(), seed()};
  engine_.seed(sequence);
}

uint64_t WorkerRandom::Below(uint64_t bound) {
  return std::uniform_int_distribution<uint64_t>(0, bound - 1)(engine_);
}

Result<std::unique_ptr<WorkerThread>> WorkerThread::Start(int index) {
  std::unique_ptr<WorkerThread> made(new WorkerThread);
  auto own = net::OpenOwnNetns();
  if (!own) return Fail(own.error());
  made->own_netns_ = std::move(*own);
  try {
    made->thread_ = std::thread([thread = made.get()] {
      thread->io().run();
      thread->ended_.set_value();
    });
  } catch (const std::system_error& error) {
    return Fail(ErrorCode::kResourceExhausted,
                std::string("start a worker thread: ") + error.what());
  }
  std::string name = "worker-" + std::to_string(index);
  pthread_setname_np(made->thread_.native_handle(), name.c_str());
  return made;
}

WorkerThread::~WorkerThread() {
  if (!thread_.joinable()) return;
  work_.reset();
  // Ends by itself once no connection is left; a wait that cannot be cut is dropped with its frame.
  if (ended_.get_future().wait_for(kGrace) != std::future_status::ready) worker_->io().stop();
  thread_.join();
  // What such a frame refers to is still there while it is unwound.
  worker_.reset();
}

}  // namespace ambit::proxy
