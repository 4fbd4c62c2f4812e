#include "node-agent/enroll/pod_record.h"

#include <array>
#include <utility>

namespace ambit::enroll {
namespace {

bool RulesInSandbox(const PodRecord& record) {
  return record.sandbox && record.touched == record.sandbox->netns;
}

bool TunnelServesSandbox(const PodRecord& record) {
  return record.sandbox && record.acknowledged && record.told == record.sandbox->netns;
}

Step TakeOutOfTunnelsAndProbes(const PodRecord& record, Step otherwise) {
  if (record.told || record.kept) return Step::kTunnelDel;
  if (!record.probed.empty()) return Step::kProbes;
  return otherwise;
}

Step NextIn(const PodRecord& record) {
  if (!record.sandbox) {
    // A pod that is kept stays so: its tunnel may serve it although we cannot reach it.
    if (record.told) return Step::kTunnelDel;
    return record.probed.empty() ? Step::kNone : Step::kProbes;
  }
  if (!RulesInSandbox(record)) return Step::kProgram;
  if (!record.programmed) return record.damaged ? Step::kRepair : Step::kProgram;
  if (!record.verified) return Step::kVerify;
  if (!TunnelServesSandbox(record)) return Step::kTunnelAdd;
  return record.probed == ProbeAddresses(record) ? Step::kNone : Step::kProbes;
}

Step NextOut(const PodRecord& record) {
  if (RulesInSandbox(record)) return Step::kUndo;
  return TakeOutOfTunnelsAndProbes(record, Step::kNone);
}

}  // namespace

std::string_view StepName(Step step) {
  static constexpr std::array<std::string_view, 9> kNames{"none",   "verify",     "program",
                                                          "repair", "tunnel_add", "probes",
                                                          "undo",   "tunnel_del", "forget"};
  return kNames[static_cast<size_t>(step)];
}

std::string_view StateName(State state) {
  static constexpr std::array<std::string_view, 9> kNames{
      "unknown",    "outside",  "waiting_for_netns", "offered", "programming",
      "committing", "enrolled", "removing",          "failed"};
  return kNames[static_cast<size_t>(state)];
}

std::set<net::IpAddress> ProbeAddresses(const PodRecord& record) {
  const auto& ips =
      record.sandbox && !record.sandbox->ips.empty() ? record.sandbox->ips : record.status_ips;
  std::set<net::IpAddress> chosen;
  for (const auto& ip : ips) {
    if (ip.is_v4() || record.decision.options.ipv6) chosen.insert(ip);
  }
  return chosen;
}

Step Next(const PodRecord& record) {
  if (record.running != Step::kNone || record.offered || record.backing_off) return Step::kNone;
  switch (record.decision.wish) {
    case Wish::kUnknown:
      return Step::kNone;
    case Wish::kCaptured:
      return NextIn(record);
    case Wish::kOutside:
      return NextOut(record);
    case Wish::kGone:
      // The rules end with the namespace; until then they keep the pod from talking in clear.
      return TakeOutOfTunnelsAndProbes(record, Step::kForget);
  }
  return Step::kNone;
}

bool Enrolled(const PodRecord& record) {
  return record.decision.wish == Wish::kCaptured && !record.offered && RulesInSandbox(record) &&
         record.programmed && TunnelServesSandbox(record) &&
         record.probed == ProbeAddresses(record);
}

State StateOf(const PodRecord& record) {
  if (record.decision.wish == Wish::kUnknown) return State::kUnknown;
  if (record.backing_off) return State::kFailed;
  if (record.decision.wish != Wish::kCaptured) {
    bool left = RulesInSandbox(record) || record.told || !record.probed.empty();
    return left ? State::kRemoving : State::kOutside;
  }
  if (record.offered) return State::kOffered;
  if (!record.sandbox) return State::kWaitingForNetns;
  if (Enrolled(record)) return State::kEnrolled;
  return RulesInSandbox(record) && record.programmed ? State::kCommitting : State::kProgramming;
}

void SetSandbox(PodRecord& record, std::optional<podns::Sandbox> sandbox) {
  bool same = record.sandbox && sandbox && record.sandbox->netns == sandbox->netns;
  record.sandbox = std::move(sandbox);
  if (same) return;
  record.touched.reset();
  record.programmed = false;
  record.verified = false;
  record.damaged = false;
  record.offered = false;
  record.backing_off = false;
  record.failures = 0;
}

void SetDecision(PodRecord& record, Decision decision) {
  if (!SameRules(record.decision.options, decision.options)) record.verified = false;
  if (record.decision.wish != decision.wish) {
    record.backing_off = false;
    record.failures = 0;
  }
  record.decision = std::move(decision);
}

void Begin(PodRecord& record, Step step) {
  record.running = step;
  if (step == Step::kProgram || step == Step::kRepair) {
    record.touched = record.sandbox->netns;
    record.programmed = false;
  }
  if (step == Step::kTunnelAdd) {
    record.told = record.sandbox->netns;
    record.kept = false;
    record.acknowledged = false;
  }
}

void Succeed(PodRecord& record, Step step, std::optional<net::NetnsId> begun_for,
             const std::set<net::IpAddress>& probed) {
  record.running = Step::kNone;
  record.failures = 0;
  bool current = record.sandbox && begun_for == record.sandbox->netns;
  switch (step) {
    case Step::kVerify:
      if (current) record.verified = true;
      break;
    case Step::kProgram:
    case Step::kRepair:
      if (current) record.programmed = record.verified = true;
      if (current) record.damaged = false;
      break;
    case Step::kTunnelAdd:
      record.acknowledged = record.told == begun_for;
      break;
    case Step::kUndo:
      if (current) record.touched.reset();
      if (current) record.programmed = record.verified = record.damaged = false;
      break;
    case Step::kTunnelDel:
      record.told.reset();
      record.kept = record.acknowledged = false;
      break;
    case Step::kProbes:
      record.probed = probed;
      break;
    case Step::kNone:
    case Step::kForget:
      break;
  }
}

void FailStep(PodRecord& record, Step) {
  record.running = Step::kNone;
  record.backing_off = true;
  ++record.failures;
}

void Distrust(PodRecord& record) {
  record.running = Step::kNone;
  record.programmed = false;
  record.damaged = true;
}

}  // namespace ambit::enroll
