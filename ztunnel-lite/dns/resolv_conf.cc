#include "ztunnel-lite/dns/resolv_conf.h"

#include <fstream>
#include <sstream>

namespace ambit::dns {
namespace {

constexpr size_t kMaxServers = 3;
constexpr uint16_t kDnsPort = 53;

}  // namespace

std::vector<net::Endpoint> ParseResolvConf(std::string_view text) {
  std::vector<net::Endpoint> servers;
  std::istringstream lines{std::string(text)};
  for (std::string line; servers.size() < kMaxServers && std::getline(lines, line);) {
    std::istringstream words(line);
    std::string keyword, value;
    if (!(words >> keyword >> value) || keyword != "nameserver") continue;
    if (auto address = net::IpAddress::Parse(value)) servers.push_back({*address, kDnsPort});
  }
  return servers;
}

std::vector<net::Endpoint> ReadResolvConf(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return ParseResolvConf(text.str());
}

}  // namespace ambit::dns
