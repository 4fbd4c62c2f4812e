#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cni-plugin/config.h"
#include "cni-plugin/failure.h"
#include "cni-plugin/pod_args.h"
#include "cni-plugin/prev_result.h"
#include "lib/http1/message.h"
#include "lib/netlink/program.h"

// Purpose  the agent's command protocol as values: request bodies out, answers in.
// Errors   an answer that says no: kRefused or kBadConfig when the agent says that trying again
//          cannot help, else kTryLater; an answer that cannot be read is kTryLater too.
// Source   docs/command-protocol.md.
namespace ambit::cni {

// What the agent is told of a sandbox.
struct Sandbox {
  std::string container_id;
  std::string ifname;
  std::string netns;
  PodArgs pod;
  std::vector<PodAddress> addresses;
};

// What the agent wants done in the pod's network namespace.
struct Capture {
  std::string token;
  netlink::Program program;
  netlink::Program undo;
};

struct AddAnswer {
  std::string reason;              // why the pod is captured or not, for people
  std::optional<Capture> capture;  // absent: the pod is not to be captured
};

struct CheckAnswer {
  bool captured = false;
  std::vector<std::string> problems;
};

std::string AddBody(const Sandbox& sandbox);  // also of /cmdcheck
std::string DeleteBody(const Sandbox& sandbox);
std::string TokenBody(const std::string& token);
std::string GarbageBody(const std::vector<Attachment>& valid);

// A 200 that names a token whose program cannot be read fails with the token in `token`, so that
// the caller can give it back.
Outcome<AddAnswer> ReadAddAnswer(const http1::Response& response, std::string& token);
Outcome<CheckAnswer> ReadCheckAnswer(const http1::Response& response);
// Answers whose 200 says all: commit, GC.
Outcome<void> ReadPlainAnswer(const http1::Response& response);
// Errors  kUnavailable, kImpaired.
Outcome<void> ReadStatusAnswer(const http1::Response& response);

}  // namespace ambit::cni
