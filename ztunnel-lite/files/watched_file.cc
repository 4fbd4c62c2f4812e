#include "ztunnel-lite/files/watched_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <utility>

#include "lib/base/unique_fd.h"
#include "lib/k8s/folder_watch.h"

namespace ambit::files {
namespace {

namespace asio = boost::asio;
using ErrorText = boost::system::error_code;

constexpr std::chrono::seconds kPollInterval{1};

// A link appears complete; a plain file that was just created is announced again when its writer
// closes it.
bool IsLink(const std::string& path) {
  struct stat status{};
  if (lstat(path.c_str(), &status) != 0) return false;
  return S_ISLNK(status.st_mode) || status.st_nlink > 1;
}

std::string FolderOf(const std::string& path) {
  std::string folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? "." : folder;
}

}  // namespace

Result<std::string> ReadFile(const std::string& path, size_t limit_bytes) {
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
  while (text.size() <= limit_bytes) {
    ssize_t size = read(fd.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return FailErrno(errno, "reading " + path);
    if (size == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(size));
  }
  return Fail(ErrorCode::kInvalidArgument,
              path + " is larger than " + std::to_string(limit_bytes) + " bytes");
}

// Shared with the handlers that wait on the loop; `stopped_` makes late ones do nothing.
class WatchedFile::Watcher : public std::enable_shared_from_this<Watcher> {
 public:
  Watcher(asio::io_context& context, Options options, Told told)
      : options_(std::move(options)),
        folder_(FolderOf(options_.path)),
        name_(std::filesystem::path(options_.path).filename()),
        told_(std::move(told)),
        readable_(context),
        settled_(context),
        poll_(context) {}

  Result<std::string> Start() {
    // Watched first, so that no change falls between the look and the watch.
    Watch();
    auto content = ReadFile(options_.path, options_.limit_bytes);
    IsNews(content);
    return content;
  }

  void Stop() {
    stopped_ = true;
    settled_.cancel();
    poll_.cancel();
    Close();
  }

 private:
  void Watch() {
    auto watch = k8s::FolderWatch::Open(folder_);
    if (!watch) return Poll();
    watch_ = *std::move(watch);
    readable_.assign(watch_->fd());
    Wait();
  }

  void Wait() {
    readable_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this()](const ErrorText& error) {
                           if (!error && !self->stopped_) self->OnReadable();
                         });
  }

  void OnReadable() {
    auto changes = watch_->Take();
    if (!changes || changes->folder_gone) {
      Close();
      Poll();
      return;
    }
    bool changed = changes->everything || changes->written.contains(name_) ||
                   changes->removed.contains(name_) ||
                   (changes->created.contains(name_) && IsLink(options_.path));
    if (changed) LookSoon();
    Wait();
  }

  void LookSoon() {
    if (std::exchange(look_is_due_, true)) return;
    settled_.expires_after(options_.settle);
    settled_.async_wait([self = shared_from_this()](const ErrorText& error) {
      if (error || self->stopped_) return;
      self->look_is_due_ = false;
      self->Look();
    });
  }

  void Poll() {
    poll_.expires_after(kPollInterval);
    poll_.async_wait([self = shared_from_this()](const ErrorText& error) {
      if (error || self->stopped_) return;
      self->Watch();
      self->Look();
    });
  }

  void Look() {
    auto content = ReadFile(options_.path, options_.limit_bytes);
    if (IsNews(content)) told_(content);
  }

  bool IsNews(const Result<std::string>& content) {
    const std::string& text = content ? *content : content.error().message();
    Seen seen{content.has_value(), text.size(), std::hash<std::string>()(text)};
    return std::exchange(seen_, seen) != seen;
  }

  void Close() {
    if (readable_.is_open()) readable_.release();
    watch_.reset();
  }

  struct Seen {
    bool there = false;
    size_t size = 0;
    size_t hash = 0;
    bool operator==(const Seen&) const = default;
  };

  const Options options_;
  const std::string folder_, name_;
  const Told told_;
  std::optional<k8s::FolderWatch> watch_;
  asio::posix::stream_descriptor readable_;
  asio::steady_timer settled_, poll_;
  bool look_is_due_ = false;
  bool stopped_ = false;
  Seen seen_;
};

WatchedFile::WatchedFile(asio::io_context& context, Options options, Told told)
    : watcher_(std::make_shared<Watcher>(context, std::move(options), std::move(told))) {}

WatchedFile::~WatchedFile() { watcher_->Stop(); }

Result<std::string> WatchedFile::Start() { return watcher_->Start(); }

}  // namespace ambit::files
