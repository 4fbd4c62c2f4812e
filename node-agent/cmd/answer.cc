#include "node-agent/cmd/answer.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace ambit::cmd {
namespace {

using nlohmann::json;

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

http1::Response Json(int status, std::string body) {
  http1::Response response;
  response.status = status;
  response.body = std::move(body);
  response.content_type = "application/json";
  return response;
}

struct Meaning {
  int status;
  bool retry;
};

Meaning MeaningOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kNotFound:
      return {400, false};
    case ErrorCode::kUnavailable:
    case ErrorCode::kTimedOut:
    case ErrorCode::kCancelled:
    case ErrorCode::kResourceExhausted:
      return {503, true};
    // The plugin's token belongs to an earlier agent or an earlier sandbox.
    case ErrorCode::kAlreadyExists:
      return {409, true};
    case ErrorCode::kPermissionDenied:
    case ErrorCode::kProtocol:
    case ErrorCode::kIo:
      break;
  }
  return {500, true};
}

http1::Response Text(int status, const Error& error) {
  http1::Response response;
  response.status = status;
  response.body = error.message() + "\n";
  return response;
}

}  // namespace

http1::Response Empty() { return Json(200, "{}"); }

http1::Response NotCaptured(const std::string& reason) {
  return Json(200, Dump({{"captured", false}, {"reason", reason}}));
}

http1::Response Captured(const std::string& reason, const std::string& token,
                         const std::string& program, const std::string& undo) {
  return Json(200, R"({"captured":true,"reason":)" + Dump(reason) + R"(,"token":)" + Dump(token) +
                       R"(,"program":)" + program + R"(,"undo":)" + undo + "}");
}

http1::Response Checked(bool captured, const std::vector<std::string>& problems) {
  return Json(200, Dump({{"captured", captured}, {"problems", problems}}));
}

http1::Response Ready() { return Json(200, Dump({{"ready", true}})); }

http1::Response NotReady(const std::string& why, bool impaired) {
  return Json(503, Dump({{"error", why}, {"retry", true}, {"impaired", impaired}}));
}

http1::Response Refusal(const Error& error) {
  Meaning meaning = MeaningOf(error.code());
  return Json(meaning.status, Dump({{"error", error.message()}, {"retry", meaning.retry}}));
}

http1::Response IstioRefusal(const Error& error) { return Text(500, error); }

http1::Response IstioBadRequest(const Error& error) { return Text(400, error); }

}  // namespace ambit::cmd
