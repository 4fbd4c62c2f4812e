#include "lib/observe/log.h"

#include <poll.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/sink.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#include "lib/observe/log_filter.h"
#include "lib/observe/log_line.h"

namespace ambit::observe {
namespace {

// spdlog makes all of them at the start, 400 bytes each.
constexpr size_t kQueueLines = 2'000;

// Writes finished lines to a descriptor and counts flushes, on spdlog's one background thread.
class DescriptorSink : public spdlog::sinks::sink {
 public:
  explicit DescriptorSink(int fd) : fd_(fd) {}

  void log(const spdlog::details::log_msg& message) override {
    std::string_view rest(message.payload.data(), message.payload.size());
    while (!rest.empty()) {
      ssize_t written = write(fd_, rest.data(), rest.size());
      if (written > 0) {
        rest.remove_prefix(static_cast<size_t>(written));
      } else if (errno == EAGAIN) {
        pollfd writable{.fd = fd_, .events = POLLOUT, .revents = 0};
        poll(&writable, 1, -1);
      } else if (errno != EINTR) {
        return;  // a closed log must not stop the program
      }
    }
  }

  void flush() override {
    std::lock_guard lock(mutex_);
    ++flushes_;
    flushed_.notify_all();
  }

  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

  // Requests and awaits one flush of `logger`; everything queued before it is written then.
  void AwaitFlush(spdlog::logger& logger) {
    std::lock_guard one_at_a_time(flush_mutex_);
    std::unique_lock lock(mutex_);
    uint64_t before = flushes_;
    lock.unlock();
    logger.flush();
    lock.lock();
    flushed_.wait(lock, [&] { return flushes_ > before; });
  }

 private:
  const int fd_;
  std::mutex flush_mutex_;
  std::mutex mutex_;
  std::condition_variable flushed_;
  uint64_t flushes_ = 0;
};

class AsyncLog : public Log {
 public:
  AsyncLog(LogFilter filter, const Options& options)
      : format_(options.format),
        filter_(std::move(filter)),
        sink_(std::make_shared<DescriptorSink>(options.fd)),
        pool_(std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1)),
        logger_(std::make_shared<spdlog::async_logger>("", sink_, pool_,
                                                       spdlog::async_overflow_policy::block)) {
    logger_->set_level(spdlog::level::trace);
  }

  bool Enabled(Level level, std::string_view scope) const override {
    std::shared_lock lock(filter_mutex_);
    return filter_.Enabled(level, scope);
  }

  void Write(Level level, std::string_view scope, std::string_view message,
             std::span<const Field> fields) override {
    if (!Enabled(level, scope)) return;
    std::string time = FormatTime(std::chrono::system_clock::now());
    std::string line = FormatLine(format_, time, level, scope, message, fields);
    logger_->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
  }

  std::string filter() const override {
    std::shared_lock lock(filter_mutex_);
    return filter_.text();
  }

  Result<void> SetFilter(std::string_view text) override {
    auto parsed = LogFilter::Parse(text);
    if (!parsed) return Fail(parsed.error());
    std::unique_lock lock(filter_mutex_);
    filter_ = std::move(*parsed);
    return {};
  }

  void Flush() override { sink_->AwaitFlush(*logger_); }

 private:
  const Format format_;
  mutable std::shared_mutex filter_mutex_;
  LogFilter filter_;
  std::shared_ptr<DescriptorSink> sink_;
  // The pool's destructor drains the queue; the logger refers to it, so it comes first.
  std::shared_ptr<spdlog::details::thread_pool> pool_;
  std::shared_ptr<spdlog::async_logger> logger_;
};

}  // namespace

std::string_view LevelName(Level level) {
  switch (level) {
    case Level::kTrace:
      return "trace";
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarn:
      return "warn";
    case Level::kError:
      return "error";
    case Level::kOff:
      return "off";
  }
  std::unreachable();
}

Result<std::unique_ptr<Log>> Log::Open(Options options) {
  auto filter = LogFilter::Parse(options.filter);
  if (!filter) return Fail(filter.error());
  return std::make_unique<AsyncLog>(std::move(*filter), options);
}

void Log::Debug(std::string_view scope, std::string_view message,
                std::initializer_list<Field> fields) {
  Write(Level::kDebug, scope, message, {fields.begin(), fields.size()});
}

void Log::Info(std::string_view scope, std::string_view message,
               std::initializer_list<Field> fields) {
  Write(Level::kInfo, scope, message, {fields.begin(), fields.size()});
}

void Log::Warn(std::string_view scope, std::string_view message,
               std::initializer_list<Field> fields) {
  Write(Level::kWarn, scope, message, {fields.begin(), fields.size()});
}

void Log::ErrorLine(std::string_view scope, std::string_view message,
                    std::initializer_list<Field> fields) {
  Write(Level::kError, scope, message, {fields.begin(), fields.size()});
}

}  // namespace ambit::observe
