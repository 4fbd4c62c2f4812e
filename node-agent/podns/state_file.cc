#include "node-agent/podns/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

namespace ambit::podns {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr char kFileName[] = "pods.json";

json ToJson(const SavedPod& pod) {
  json ips = json::array();
  for (const auto& ip : pod.sandbox.ips) ips.push_back(ip.ToString());
  return {{"uid", pod.uid},
          {"namespace", pod.namespace_name},
          {"name", pod.name},
          {"netns", pod.sandbox.netns_path},
          {"device", static_cast<uint64_t>(pod.sandbox.netns.device)},
          {"inode", static_cast<uint64_t>(pod.sandbox.netns.inode)},
          {"containerID", pod.sandbox.container_id},
          {"ifName", pod.sandbox.ifname},
          {"ips", std::move(ips)},
          {"rules", pod.rules}};
}

SavedPod FromJson(const json& value) {
  SavedPod pod;
  pod.uid = value.at("uid").get<std::string>();
  pod.namespace_name = value.at("namespace").get<std::string>();
  pod.name = value.at("name").get<std::string>();
  pod.sandbox.netns_path = value.at("netns").get<std::string>();
  pod.sandbox.netns.device = value.at("device").get<uint64_t>();
  pod.sandbox.netns.inode = value.at("inode").get<uint64_t>();
  pod.sandbox.container_id = value.at("containerID").get<std::string>();
  pod.sandbox.ifname = value.at("ifName").get<std::string>();
  for (const auto& text : value.at("ips")) {
    if (auto ip = net::IpAddress::Parse(text.get<std::string>())) pod.sandbox.ips.push_back(*ip);
  }
  pod.rules = value.at("rules").get<bool>();
  return pod;
}

Result<void> WriteAll(int fd, const std::string& text, const std::string& path) {
  size_t written = 0;
  while (written < text.size()) {
    ssize_t size = write(fd, text.data() + written, text.size() - written);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return FailErrno(errno, "write " + path);
    written += static_cast<size_t>(size);
  }
  return {};
}

Result<std::string> ReadText(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return FailErrno(errno, "open " + path);
  std::string text;
  char buffer[4096];
  while (true) {
    ssize_t size = read(fd.get(), buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return FailErrno(errno, "read " + path);
    if (size == 0) return text;
    text.append(buffer, static_cast<size_t>(size));
  }
}

}  // namespace

std::string FormatState(const std::vector<SavedPod>& pods, const std::string& boot_id) {
  json list = json::array();
  for (const auto& pod : pods) list.push_back(ToJson(pod));
  json file = {{"format", kFormat}, {"bootID", boot_id}, {"pods", std::move(list)}};
  return file.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<std::vector<SavedPod>> ParseState(const std::string& text, const std::string& boot_id) {
  try {
    json file = json::parse(text);
    std::vector<SavedPod> pods;
    if (file.at("format").get<int>() != kFormat) {
      return Fail(ErrorCode::kInvalidArgument,
                  "the state file has a format this agent cannot read");
    }
    if (file.at("bootID").get<std::string>() != boot_id) return pods;
    for (const auto& pod : file.at("pods")) pods.push_back(FromJson(pod));
    return pods;
  } catch (const json::exception& error) {
    return Fail(ErrorCode::kInvalidArgument,
                std::string("the state file is damaged: ") + error.what());
  }
}

StateFile::StateFile(std::string folder, std::string boot_id)
    : path_(std::move(folder) + "/" + kFileName), boot_id_(std::move(boot_id)) {}

Result<std::vector<SavedPod>> StateFile::Load() const {
  auto text = ReadText(path_);
  if (!text && text.error().code() == ErrorCode::kNotFound) return std::vector<SavedPod>{};
  if (!text) return Fail(text.error());
  auto pods = ParseState(*text, boot_id_);
  if (!pods) return Fail(pods.error().Wrap(path_));
  return pods;
}

// Not synced to the disk: after a power loss there is another boot, whose agent trusts nothing of
// it.
Result<void> StateFile::Save(const std::vector<SavedPod>& pods) const {
  std::string next = path_ + ".next";
  UniqueFd fd(open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return FailErrno(errno, "create " + next);
  if (auto written = WriteAll(fd.get(), FormatState(pods, boot_id_), next); !written) {
    return written;
  }
  if (rename(next.c_str(), path_.c_str()) != 0) return FailErrno(errno, "replace " + path_);
  return {};
}

std::vector<SavedPod> Reopen(std::vector<SavedPod> pods, const net::NetnsId& host,
                             std::vector<std::string>& dropped) {
  std::vector<SavedPod> kept;
  for (auto& pod : pods) {
    std::string who = "pod " + pod.namespace_name + "/" + pod.name + ": ";
    auto sandbox = OpenSandbox(pod.sandbox.netns_path, host);
    if (!sandbox) {
      dropped.push_back(who + sandbox.error().message());
    } else if (sandbox->netns != pod.sandbox.netns) {
      dropped.push_back(who + pod.sandbox.netns_path + " leads to another namespace now");
    } else {
      pod.sandbox.handle = std::move(sandbox->handle);
      kept.push_back(std::move(pod));
    }
  }
  return kept;
}

Result<std::string> ReadBootId() {
  auto text = ReadText("/proc/sys/kernel/random/boot_id");
  if (!text) return text;
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return text;
}

}  // namespace ambit::podns
