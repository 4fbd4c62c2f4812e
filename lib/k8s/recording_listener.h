#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/k8s/source.h"

namespace ambit::k8s {

// Keeps one line per call, for tests: "+pod shop/web 10.0.0.7", "-namespace shop", "synced".
class RecordingListener : public Listener {
 public:
  void OnNamespace(std::shared_ptr<const Namespace> object) override {
    std::string labels;
    for (const auto& [key, value] : object->labels) labels += " " + key + "=" + value;
    lines.push_back("+namespace " + object->name + labels);
  }
  void OnNamespaceGone(const std::string& name) override { lines.push_back("-namespace " + name); }
  void OnPod(std::shared_ptr<const Pod> object) override {
    lines.push_back("+pod " + object->Key() + Addresses(object->ips));
  }
  void OnPodGone(std::shared_ptr<const Pod> last) override {
    lines.push_back("-pod " + last->Key() + Addresses(last->ips));
  }
  void OnService(std::shared_ptr<const Service> object) override {
    lines.push_back("+service " + object->Key() + Addresses(object->cluster_ips));
  }
  void OnServiceGone(std::shared_ptr<const Service> last) override {
    lines.push_back("-service " + last->Key() + Addresses(last->cluster_ips));
  }
  void OnSynced() override { lines.push_back("synced"); }

  std::vector<std::string> Take() { return std::exchange(lines, {}); }

  std::vector<std::string> lines;

 private:
  static std::string Addresses(const std::vector<net::IpAddress>& ips) {
    std::string text;
    for (const net::IpAddress& ip : ips) text += " " + ip.ToString();
    return text;
  }
};

}  // namespace ambit::k8s
