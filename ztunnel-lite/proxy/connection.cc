#include "ztunnel-lite/proxy/connection.h"

#include <sys/socket.h>

#include "lib/net/socket.h"

namespace ambit::proxy {

void Gate::WhenEmpty(std::function<void()> empty) {
  if (running_ == 0) {
    empty();
    return;
  }
  empty_ = std::move(empty);
}

void Gate::Leave() {
  if (--running_ != 0) return;
  if (auto empty = std::exchange(empty_, nullptr)) empty();
}

void Connection::Refuse() {
  if (!socket_.valid()) return;
  // Best effort: without the option the client sees FIN where it should see RST.
  (void)net::SetResetOnClose(socket_.get());
  socket_.Reset();
}

void Connection::Cut(Error reason) {
  if (cut_) return;
  cut_ = std::move(reason);
  if (control_) {
    control_->Cancel(*cut_);
    return;
  }
  Refuse();
  if (handshake_.valid()) shutdown(handshake_.get(), SHUT_RDWR);
  interrupt_.Fire();
}

}  // namespace ambit::proxy
