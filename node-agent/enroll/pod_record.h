#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lib/net/address.h"
#include "lib/net/netns.h"
#include "node-agent/enroll/decision.h"
#include "node-agent/podns/sandbox.h"

// Purpose  one pod's way into the mesh and out of it: what is wished, what has been done, and so
//          what comes next. Every event only changes the record; Next() compares wish and fact, so
//          that any order of events ends in the same place. Pure.
namespace ambit::enroll {

// The steps that change something outside the record. Of one pod, one runs at a time.
enum class Step : uint8_t {
  kNone,
  kVerify,     // are the rules still as they should be?
  kProgram,    // put the rules into the pod's namespace
  kRepair,     // the same where somebody else has changed them
  kTunnelAdd,  // the newest tunnel binds its listeners there
  kProbes,     // make the host's probe set hold exactly the pod's addresses, or none of them
  kUndo,       // take the rules out
  kTunnelDel,  // tunnels forget the pod
  kForget,     // nothing is left to do for a pod that is gone
};
std::string_view StepName(Step step);

enum class State : uint8_t {
  kUnknown,
  kOutside,
  kWaitingForNetns,  // should be captured, but its namespace is not known
  kOffered,          // the plugin has the program and is to commit
  kProgramming,
  kCommitting,
  kEnrolled,
  kRemoving,
  kFailed,  // waits to try again
};
std::string_view StateName(State state);

struct PodRecord {
  std::string uid;
  std::string namespace_name;
  std::string name;
  std::string service_account;

  // Wished.
  Decision decision{};
  std::vector<net::IpAddress> status_ips{};

  // Known.
  std::optional<podns::Sandbox> sandbox{};
  bool offered = false;  // the plugin works on this sandbox; nobody else does

  // Done.
  std::optional<net::NetnsId> touched{};  // where our rules may be, complete or not
  bool programmed = false;                // ... and are complete
  bool verified = false;                  // ... and were so when looked at last
  bool damaged = false;                   // ... and were not, so that not all in them is ours
  std::optional<net::NetnsId> told{};     // with which namespace tunnels were told of the pod
  bool kept = false;                      // tunnels were told to keep it, without a namespace
  bool acknowledged = false;
  std::set<net::IpAddress> probed{};

  // Under way.
  Step running = Step::kNone;
  bool backing_off = false;
  int failures = 0;

  std::string Key() const { return namespace_name + "/" + name; }
};

// Addresses that kubelet may probe in the clear: of ADD's result where there was one, since a
// status may still show those of an earlier sandbox.
std::set<net::IpAddress> ProbeAddresses(const PodRecord& record);

Step Next(const PodRecord& record);
State StateOf(const PodRecord& record);
// In the mesh as wished, with its present namespace, addresses and rules.
bool Enrolled(const PodRecord& record);

// Another sandbox, or none: what was done in the old one is void.
void SetSandbox(PodRecord& record, std::optional<podns::Sandbox> sandbox);
// Changed options make the rules due for a look.
void SetDecision(PodRecord& record, Decision decision);

void Begin(PodRecord& record, Step step);
// The step that was running has ended well, for the namespace it was begun for.
void Succeed(PodRecord& record, Step step, std::optional<net::NetnsId> begun_for,
             const std::set<net::IpAddress>& probed);
// It has failed; the record waits until backing_off is taken back.
void FailStep(PodRecord& record, Step step);
// Verification found differences.
void Distrust(PodRecord& record);

}  // namespace ambit::enroll
