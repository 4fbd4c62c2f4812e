#include "lib/k8s/manifest_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <optional>
#include <utility>

#include "lib/k8s/folder_watch.h"
#include "lib/k8s/manifest.h"
#include "lib/k8s/manifest_set.h"

namespace ambit::k8s {
namespace {

namespace asio = boost::asio;

constexpr char kScope[] = "manifests";
// How often a folder that went away is looked for.
constexpr std::chrono::milliseconds kReopenInterval{250};

Result<std::string> ReadFile(const std::string& path) {
  // O_NONBLOCK: opening a pipe that someone put there must not block the loop.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return FailErrno(errno, "opening " + path);
  struct stat status{};
  if (fstat(fd.get(), &status) != 0) return FailErrno(errno, "looking at " + path);
  if (!S_ISREG(status.st_mode)) {
    return Fail(ErrorCode::kInvalidArgument, path + " is no regular file");
  }
  std::string text;
  std::array<char, 65536> buffer;
  // One byte more than allowed is enough for the parser to refuse the file.
  while (text.size() <= kMaxManifestBytes) {
    ssize_t size = read(fd.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return FailErrno(errno, "reading " + path);
    if (size == 0) break;
    text.append(buffer.data(), static_cast<size_t>(size));
  }
  return text;
}

// A link appears complete; a plain file that was just created is announced again when its writer
// closes it.
bool IsLink(const std::string& path) {
  struct stat status{};
  if (lstat(path.c_str(), &status) != 0) return false;
  return S_ISLNK(status.st_mode) || status.st_nlink > 1;
}

}  // namespace

// Shared with the handlers that wait on the loop; `stopped_` makes late ones do nothing.
class ManifestFolder::Watcher : public std::enable_shared_from_this<Watcher> {
 public:
  Watcher(asio::io_context& context, std::string folder, observe::Log& log)
      : folder_(std::move(folder)), log_(log), readable_(context), reopen_(context) {}

  Result<void> Start(Listener& listener) {
    listener_ = &listener;
    auto opened = Open();
    if (!opened) return opened;
    ReadEverything();
    Announce();
    listener.OnSynced();
    Wait();
    return {};
  }

  void Stop() {
    stopped_ = true;
    reopen_.cancel();
    Close();
  }

 private:
  Result<void> Open() {
    auto watch = FolderWatch::Open(folder_);
    if (!watch) return Fail(watch.error());
    watch_ = *std::move(watch);
    readable_.assign(watch_->fd());
    return {};
  }

  void Close() {
    if (readable_.is_open()) readable_.release();
    watch_.reset();
  }

  void Wait() {
    readable_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           if (!error && !self->stopped_) self->OnReadable();
                         });
  }

  void OnReadable() {
    auto changes = watch_->Take();
    if (!changes) {
      log_.ErrorLine(kScope, changes.error().message());
      return Lost();
    }
    Apply(*changes);
    Announce();
    if (stopped_) return;
    if (changes->folder_gone) return Lost();
    Wait();
  }

  void Apply(const FolderChanges& changes) {
    if (changes.folder_gone) {
      // A folder that is removed file by file tells so before it goes; those files are gone for
      // good. One that was moved away keeps its objects.
      for (const std::string& file : changes.removed) set_.Remove(file);
      return;
    }
    if (changes.everything) return ReadEverything();
    for (const std::string& file : changes.removed) LookAt(file);
    for (const std::string& file : changes.created) {
      if (IsLink(folder_ + "/" + file)) LookAt(file);
    }
    for (const std::string& file : changes.written) LookAt(file);
  }

  void Lost() {
    log_.Warn(kScope, "folder " + folder_ + " went away; its objects stay until it is back");
    Close();
    LookForFolder();
  }

  void LookForFolder() {
    reopen_.expires_after(kReopenInterval);
    reopen_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error && !self->stopped_) self->TryAgain();
    });
  }

  void TryAgain() {
    if (!Open()) return LookForFolder();
    log_.Info(kScope, "folder " + folder_ + " is back");
    ReadEverything();
    Announce();
    if (!stopped_) Wait();
  }

  void ReadEverything() {
    std::error_code error;
    std::set<std::string> gone = set_.Files();
    for (std::filesystem::directory_iterator at(folder_, error), end; !error && at != end;
         at.increment(error)) {
      std::string file = at->path().filename().string();
      if (!IsManifestName(file)) continue;
      gone.erase(file);
      Read(file);
    }
    if (error) {
      log_.ErrorLine(kScope, "listing " + folder_ + ": " + error.message());
      return;
    }
    for (const std::string& file : gone) set_.Remove(file);
  }

  void LookAt(const std::string& file) {
    if (IsManifestName(file)) Read(file);
  }

  void Read(const std::string& file) {
    std::string path = folder_ + "/" + file;
    auto text = ReadFile(path);
    if (!text && text.error().code() == ErrorCode::kNotFound) return set_.Remove(file);
    if (!text) return Report(text.error());
    auto objects = ParseManifest(file, *text);
    if (!objects) return Report(objects.error());
    for (const std::string& note : objects->ignored) log_.Info(kScope, file + ": " + note);
    set_.Put(file, std::move(objects->objects));
  }

  void Report(const Error& error) {
    log_.ErrorLine(kScope, error.message() + "; what the file held before stays");
  }

  void Announce() {
    for (const std::string& conflict : set_.Announce(*listener_)) log_.Warn(kScope, conflict);
  }

  const std::string folder_;
  observe::Log& log_;
  Listener* listener_ = nullptr;
  ManifestSet set_;
  std::optional<FolderWatch> watch_;
  asio::posix::stream_descriptor readable_;
  asio::steady_timer reopen_;
  bool stopped_ = false;
};

ManifestFolder::ManifestFolder(asio::io_context& context, std::string folder, observe::Log& log)
    : watcher_(std::make_shared<Watcher>(context, std::move(folder), log)) {}

ManifestFolder::~ManifestFolder() { watcher_->Stop(); }

Result<void> ManifestFolder::Start(Listener& listener) { return watcher_->Start(listener); }

}  // namespace ambit::k8s
