#include "lib/base/error.h"

#include <cerrno>
#include <system_error>

namespace ambit {
namespace {

ErrorCode CodeFromErrno(int sys_errno) {
  switch (sys_errno) {
    case EACCES:
    case EPERM:
      return ErrorCode::kPermissionDenied;
    case ENOENT:
    case ESRCH:
    case ENODEV:
      return ErrorCode::kNotFound;
    case EEXIST:
      return ErrorCode::kAlreadyExists;
    case ETIMEDOUT:
      return ErrorCode::kTimedOut;
    case ECANCELED:
      return ErrorCode::kCancelled;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC:
      return ErrorCode::kResourceExhausted;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kIo;
  }
}

}  // namespace

std::string_view ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kAlreadyExists:
      return "already_exists";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kTimedOut:
      return "timed_out";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kPermissionDenied:
      return "permission_denied";
    case ErrorCode::kResourceExhausted:
      return "resource_exhausted";
    case ErrorCode::kProtocol:
      return "protocol";
    case ErrorCode::kIo:
      return "io";
  }
  std::unreachable();
}

Error Error::Wrap(std::string_view context) const {
  std::string text(context);
  text += ": ";
  text += message_;
  return Error(code_, std::move(text), sys_errno_);
}

std::unexpected<Error> Fail(ErrorCode code, std::string message) {
  return std::unexpected(Error(code, std::move(message)));
}

std::unexpected<Error> Fail(Error error) { return std::unexpected(std::move(error)); }

Error ErrnoError(int sys_errno, std::string_view what) {
  std::string text(what);
  text += ": ";
  text += std::generic_category().message(sys_errno);
  return Error(CodeFromErrno(sys_errno), std::move(text), sys_errno);
}

std::unexpected<Error> FailErrno(int sys_errno, std::string_view what) {
  return std::unexpected(ErrnoError(sys_errno, what));
}

}  // namespace ambit
