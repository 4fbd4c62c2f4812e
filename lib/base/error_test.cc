#include "lib/base/error.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace ambit {
namespace {

TEST(Error, WrapPutsTheContextInFrontAndKeepsCodeAndErrno) {
  Error inner = ErrnoError(ECONNREFUSED, "connect to 10.0.0.7:15008");
  Error outer = inner.Wrap("pod shop/web");
  EXPECT_EQ(outer.code(), ErrorCode::kUnavailable);
  EXPECT_EQ(outer.sys_errno(), ECONNREFUSED);
  EXPECT_EQ(outer.message(), "pod shop/web: connect to 10.0.0.7:15008: Connection refused");
}

TEST(Error, ErrnoDecidesTheCode) {
  EXPECT_EQ(ErrnoError(EPERM, "x").code(), ErrorCode::kPermissionDenied);
  EXPECT_EQ(ErrnoError(ENOENT, "x").code(), ErrorCode::kNotFound);
  EXPECT_EQ(ErrnoError(EMFILE, "x").code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(ErrnoError(EPIPE, "x").code(), ErrorCode::kIo);
}

TEST(Error, EveryCodeHasItsOwnName) {
  EXPECT_EQ(ErrorCodeName(ErrorCode::kTimedOut), "timed_out");
  EXPECT_EQ(ErrorCodeName(ErrorCode::kProtocol), "protocol");
}

}  // namespace
}  // namespace ambit
