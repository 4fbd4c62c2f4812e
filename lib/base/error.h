#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

// Purpose  the one error type of the project and the result type that carries it.
// Threads  values; safe to move between threads.
// Errors are values: our code throws nothing, and exceptions of libraries end where they enter.
namespace ambit {

enum class ErrorCode {
  kInvalidArgument,    // the caller's input is wrong and will be wrong again
  kNotFound,           // the named thing does not exist
  kAlreadyExists,      // the named thing exists and may not be replaced
  kUnavailable,        // a peer or resource is not there now; trying again later can help
  kTimedOut,           // a deadline passed
  kCancelled,          // stopped on request: shutdown, drain, removed pod
  kPermissionDenied,   // the kernel, a policy or a certificate check said no
  kResourceExhausted,  // a bound of ours or a limit of the system was reached
  kProtocol,           // a peer broke its protocol, or bytes do not decode
  kIo,                 // a system call failed; `sys_errno` says how
};

// Lower-case name as it appears in logs, e.g. "timed_out".
std::string_view ErrorCodeName(ErrorCode code);

// What failed, on what, why, and the likely cause, as one sentence for the operator.
class Error {
 public:
  Error(ErrorCode code, std::string message, int sys_errno = 0)
      : code_(code), sys_errno_(sys_errno), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  // errno of the failed system call, 0 where none was involved.
  int sys_errno() const { return sys_errno_; }
  const std::string& message() const { return message_; }

  // The same error with "<context>: " in front of its message.
  Error Wrap(std::string_view context) const;

 private:
  ErrorCode code_;
  int sys_errno_;
  std::string message_;
};

template <typename T = void>
using Result = std::expected<T, Error>;

// Shorthand for `return Fail(...)` from a function that returns any Result.
std::unexpected<Error> Fail(ErrorCode code, std::string message);
std::unexpected<Error> Fail(Error error);

// `what` plus the text of `sys_errno`; the code follows from the errno (EACCES and EPERM give
// kPermissionDenied, ENOENT kNotFound, ETIMEDOUT kTimedOut, EMFILE and ENOMEM kResourceExhausted,
// ECONNREFUSED kUnavailable, all others kIo).
Error ErrnoError(int sys_errno, std::string_view what);
std::unexpected<Error> FailErrno(int sys_errno, std::string_view what);

}  // namespace ambit
