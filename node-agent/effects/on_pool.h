#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <type_traits>
#include <utility>

namespace ambit::effects {

// Runs `work`, which may block, on a thread of the pool; the caller goes on with its result on the
// thread it was on. The pool is joined before the caller's io_context ends.
template <typename Work>
boost::asio::awaitable<std::invoke_result_t<Work>> OnPool(boost::asio::thread_pool& pool,
                                                          Work work) {
  using Outcome = std::invoke_result_t<Work>;
  auto start = [&pool](auto handler, Work job) {
    auto back = boost::asio::make_work_guard(boost::asio::get_associated_executor(handler));
    boost::asio::post(pool, [handler = std::move(handler), back = std::move(back),
                             job = std::move(job)]() mutable {
      boost::asio::post(back.get_executor(),
                        [handler = std::move(handler), outcome = job()]() mutable {
                          std::move(handler)(std::move(outcome));
                        });
    });
  };
  co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>,
                                                 void(Outcome)>(start, boost::asio::use_awaitable,
                                                                std::move(work));
}

}  // namespace ambit::effects
