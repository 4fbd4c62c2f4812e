#pragma once

#include <boost/asio/awaitable.hpp>

#include "lib/http1/message.h"

namespace ambit::admin {

// /debug/pprof/profile?seconds=1-300(10)&frequency=1-1000(100): where the tunnel spends its CPU
// time, as pprof reads it. Takes that long. 400: a value out of range; 503: another one runs.
// /debug/pprof/heap and below: 500, memory is not profiled.
// Thread  control.
boost::asio::awaitable<http1::Response> AnswerProfile(http1::Request request);

inline constexpr char kProfilePath[] = "/debug/pprof/";
inline constexpr int kMaxProfileSeconds = 300;

}  // namespace ambit::admin
