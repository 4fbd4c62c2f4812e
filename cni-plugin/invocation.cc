#include "cni-plugin/invocation.h"

#include <algorithm>
#include <array>
#include <vector>

namespace ambit::cni {
namespace {

struct CommandEntry {
  std::string_view name;
  Command command;
};

constexpr std::array<CommandEntry, 6> kCommands{{{"ADD", Command::kAdd},
                                                 {"DEL", Command::kDel},
                                                 {"CHECK", Command::kCheck},
                                                 {"GC", Command::kGc},
                                                 {"STATUS", Command::kStatus},
                                                 {"VERSION", Command::kVersion}}};

constexpr size_t kMaxIfnameBytes = 15;

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::vector<std::string_view> RequiredVariables(Command command) {
  switch (command) {
    case Command::kAdd:
    case Command::kCheck:
      return {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"};
    case Command::kDel:
      return {"CNI_CONTAINERID", "CNI_IFNAME"};
    case Command::kGc:
      return {"CNI_PATH"};
    default:
      return {};
  }
}

bool IsSandboxCommand(Command command) {
  return command == Command::kAdd || command == Command::kDel || command == Command::kCheck;
}

Outcome<Command> ParseCommand(const std::string& text) {
  if (text.empty()) return Command::kUsage;
  const auto* entry = std::ranges::find(kCommands, text, &CommandEntry::name);
  if (entry != kCommands.end()) return entry->command;
  return FailWith(CniCode::kBadEnvironment, "CNI_COMMAND \"" + text + "\" is unknown",
                  "known are ADD, DEL, CHECK, GC, STATUS and VERSION");
}

Outcome<void> RequireVariables(const Environment& environment, Command command) {
  std::string missing;
  for (std::string_view name : RequiredVariables(command)) {
    if (!environment.Text(name, "").empty()) continue;
    if (!missing.empty()) missing += ", ";
    missing += name;
  }
  if (missing.empty()) return {};
  return FailWith(CniCode::kBadEnvironment,
                  std::string(CommandName(command)) + " needs environment variables that are " +
                      "missing or empty",
                  missing);
}

Outcome<void> CheckContainerId(const std::string& id) {
  bool valid = IsAlphanumeric(id.front()) && std::ranges::all_of(id, [](char c) {
                 return IsAlphanumeric(c) || c == '_' || c == '.' || c == '-';
               });
  if (valid) return {};
  return FailWith(CniCode::kBadEnvironment, "CNI_CONTAINERID \"" + id + "\" is no container id",
                  "a letter or digit, then letters, digits, '_', '.' and '-'");
}

Outcome<void> CheckIfname(const std::string& name) {
  bool valid = name.size() <= kMaxIfnameBytes && name != "." && name != ".." &&
               name.find_first_of("/: \t\n\v\f\r") == std::string::npos;
  if (valid) return {};
  return FailWith(CniCode::kBadEnvironment, "CNI_IFNAME \"" + name + "\" is no interface name",
                  "1 to 15 bytes, not \".\" or \"..\", no '/', ':' or white space");
}

}  // namespace

std::string_view CommandName(Command command) {
  const auto* entry = std::ranges::find(kCommands, command, &CommandEntry::command);
  return entry == kCommands.end() ? "usage" : entry->name;
}

Outcome<Invocation> ParseInvocation(const Environment& environment) {
  auto command = ParseCommand(environment.Text("CNI_COMMAND", ""));
  if (!command) return std::unexpected(command.error());
  if (auto complete = RequireVariables(environment, *command); !complete) {
    return std::unexpected(complete.error());
  }
  Invocation invocation{.command = *command,
                        .container_id = environment.Text("CNI_CONTAINERID", ""),
                        .netns = environment.Text("CNI_NETNS", ""),
                        .ifname = environment.Text("CNI_IFNAME", ""),
                        .args = environment.Text("CNI_ARGS", "")};
  std::string own = environment.Text("CNI_NETNS_OVERRIDE", "");
  invocation.own_netns_allowed = own == "1" || own == "true" || own == "TRUE";
  if (!IsSandboxCommand(*command)) return invocation;
  if (auto valid = CheckContainerId(invocation.container_id); !valid) {
    return std::unexpected(valid.error());
  }
  if (auto valid = CheckIfname(invocation.ifname); !valid) return std::unexpected(valid.error());
  return invocation;
}

}  // namespace ambit::cni
