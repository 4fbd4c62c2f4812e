#include "cni-plugin/agent.h"

#include <algorithm>
#include <utility>

namespace ambit::cni {
namespace {

constexpr std::chrono::milliseconds kShort{2000};

}  // namespace

std::chrono::milliseconds Agent::Left() const {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - clock_.Steady());
  return std::max(left, std::chrono::milliseconds(1));
}

Failure Agent::Away(const Error& error) const {
  std::string details = "socket " + config_.agent_socket;
  switch (error.code()) {
    case ErrorCode::kNotFound:
    case ErrorCode::kUnavailable:
      details += "; start ambit-agent on this node, or set agent_socket in the CNI configuration";
      break;
    case ErrorCode::kTimedOut:
      details += "; agent_timeout_ms is " + std::to_string(config_.agent_timeout.count()) +
                 "; the log of ambit-agent on this node says what it waits for";
      break;
    case ErrorCode::kPermissionDenied:
      details += "; the runtime has to run CNI plugins as root";
      break;
    default:
      details += "; see the log of ambit-agent on this node";
  }
  return Failure{CniCode::kTryLater, "ambit-agent cannot be asked: " + error.message(), details};
}

Outcome<http1::Response> Agent::Post(std::string target, std::string body,
                                     std::chrono::milliseconds timeout, OnStop on_stop) {
  http1::Request request;
  request.method = "POST";
  request.target = std::move(target);
  request.headers["content-type"] = "application/json";
  request.body = std::move(body);
  auto response = transport_.Call(config_.agent_socket, request, timeout, on_stop);
  if (!response) return std::unexpected(Away(response.error()));
  return std::move(*response);
}

Outcome<AddAnswer> Agent::Add(const Sandbox& sandbox) {
  auto response = Post("/cmdadd", AddBody(sandbox), Left());
  if (!response) return std::unexpected(response.error());
  std::string token;
  auto answer = ReadAddAnswer(*response, token);
  // The agent waits for a commit that will not come.
  if (!answer && !token.empty()) Abort(token);
  return answer;
}

Outcome<void> Agent::Commit(const std::string& token) {
  auto response = Post("/cmdadd/commit", TokenBody(token), Left());
  if (!response) return std::unexpected(response.error());
  return ReadPlainAnswer(*response);
}

void Agent::Abort(const std::string& token) {
  [[maybe_unused]] auto told = Post("/cmdadd/abort", TokenBody(token), kShort, OnStop::kGoOn);
}

Outcome<void> Agent::Delete(const Sandbox& sandbox) {
  auto response = Post("/cmddel", DeleteBody(sandbox), std::min(kShort, Left()), OnStop::kGoOn);
  if (!response) return std::unexpected(response.error());
  return ReadPlainAnswer(*response);
}

Outcome<CheckAnswer> Agent::Check(const Sandbox& sandbox) {
  auto response = Post("/cmdcheck", AddBody(sandbox), Left());
  if (!response) return std::unexpected(response.error());
  return ReadCheckAnswer(*response);
}

Outcome<void> Agent::CollectGarbage(const std::vector<Attachment>& valid) {
  auto response = Post("/cmdgc", GarbageBody(valid), Left());
  if (!response) return std::unexpected(response.error());
  return ReadPlainAnswer(*response);
}

Outcome<void> Agent::Status() {
  http1::Request request;
  request.target = "/status";
  auto response =
      transport_.Call(config_.agent_socket, request, std::min(kShort, Left()), OnStop::kCancel);
  if (response) return ReadStatusAnswer(*response);
  Failure failure = Away(response.error());
  failure.code = CniCode::kUnavailable;
  return std::unexpected(std::move(failure));
}

}  // namespace ambit::cni
