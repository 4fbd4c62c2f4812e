#include "ztunnel-lite/dns/resolv_conf.h"

#include <algorithm>
#include <cctype>
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

std::vector<std::string> ParseSearchDomains(std::string_view text) {
  std::vector<std::string> domains;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    if (!(words >> word) || (word != "search" && word != "domain")) continue;
    domains.clear();
    while (words >> word) {
      while (word.ends_with('.')) word.pop_back();
      std::ranges::transform(word, word.begin(), [](unsigned char c) { return std::tolower(c); });
      if (!word.empty()) domains.push_back(word);
    }
  }
  return domains;
}

ResolvConf ReadResolvConf(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return {ParseResolvConf(text.str()), ParseSearchDomains(text.str())};
}

}  // namespace ambit::dns
