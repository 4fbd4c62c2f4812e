#pragma once

#include <functional>
#include <utility>

namespace ambit::proxy {

// Ends the wait a coroutine is in, from outside it. At most one wait at a time.
// Thread  one worker.
class Interrupt {
 public:
  Interrupt() = default;
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // From now on every wait ends at once. `wake` runs before this returns.
  void Fire() {
    fired_ = true;
    if (auto wake = std::exchange(wake_, nullptr)) wake();
  }
  bool fired() const { return fired_; }

  // Registers how to end the wait that follows; the caller has checked fired() first.
  class Scope {
   public:
    Scope(Interrupt& interrupt, std::function<void()> wake) : interrupt_(interrupt) {
      interrupt_.wake_ = std::move(wake);
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() { interrupt_.wake_ = nullptr; }

   private:
    Interrupt& interrupt_;
  };

 private:
  bool fired_ = false;
  std::function<void()> wake_;
};

}  // namespace ambit::proxy
