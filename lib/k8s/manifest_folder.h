#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "lib/k8s/source.h"
#include "lib/observe/log.h"

// Purpose  a folder of Kubernetes manifests (*.yaml, *.yml, *.json; no sub-folders) as a source.
// Files    are read when a writer closes them or moves them into place, never half-written. What
//          happens to several files within one turn of the loop is announced together.
// Errors   a file that cannot be read or parsed is logged, and what it held before stays. While the
//          folder itself is away everything stays; when it is back, it is read anew.
// Threads  that of the io_context.
namespace ambit::k8s {

class ManifestFolder : public Source {
 public:
  // References outlive the source.
  ManifestFolder(boost::asio::io_context& context, std::string folder, observe::Log& log);
  ~ManifestFolder() override;
  ManifestFolder(const ManifestFolder&) = delete;
  ManifestFolder& operator=(const ManifestFolder&) = delete;

  // Announces everything there is and OnSynced before it returns.
  // Errors  the folder cannot be opened or watched: code of the errno.
  Result<void> Start(Listener& listener) override;

 private:
  class Watcher;
  const std::shared_ptr<Watcher> watcher_;
};

}  // namespace ambit::k8s
