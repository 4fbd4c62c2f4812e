#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/system/error_code.hpp>
#include <utility>

#include "lib/base/unique_fd.h"

namespace ambit::hbone {

// A socket whose readiness is waited for; reading and writing is the owner's. At most one wait of
// each kind is under way, a second one is ignored. A callback holds a reference on what owns this
// object; it is dropped without a call when the socket is closed.
class PolledSocket {
 public:
  PolledSocket(boost::asio::io_context& io, UniqueFd fd) : descriptor_(io, fd.Release()) {}

  int fd() { return descriptor_.native_handle(); }
  bool open() const { return descriptor_.is_open(); }

  template <typename Callback>
  void WhenReadable(Callback callback) {
    Wait(boost::asio::posix::stream_descriptor::wait_read, &PolledSocket::reading_,
         std::move(callback));
  }
  template <typename Callback>
  void WhenWritable(Callback callback) {
    Wait(boost::asio::posix::stream_descriptor::wait_write, &PolledSocket::writing_,
         std::move(callback));
  }
  // A reset or an error, while nobody wants to read.
  template <typename Callback>
  void WhenBroken(Callback callback) {
    Wait(boost::asio::posix::stream_descriptor::wait_error, &PolledSocket::watching_,
         std::move(callback));
  }
  // Like Close, with the socket left open and the caller's.
  UniqueFd Release() { return UniqueFd(descriptor_.release()); }
  void Close() {
    boost::system::error_code ignored;
    descriptor_.close(ignored);
  }

 private:
  template <typename Callback>
  void Wait(boost::asio::posix::stream_descriptor::wait_type kind, bool PolledSocket::* busy,
            Callback callback) {
    if (this->*busy || !open()) return;
    this->*busy = true;
    descriptor_.async_wait(kind, [this, busy, callback = std::move(callback)](
                                     const boost::system::error_code& error) mutable {
      this->*busy = false;
      if (!error) callback();
    });
  }

  boost::asio::posix::stream_descriptor descriptor_;
  bool reading_ = false;
  bool writing_ = false;
  bool watching_ = false;
};

}  // namespace ambit::hbone
