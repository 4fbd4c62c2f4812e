#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "lib/base/error.h"

// Purpose  the programs' log: one line per event, with fields, plain or JSON.
// Threads  Write is safe from any thread; a background thread writes to the descriptor, behind a
//          bounded queue that blocks when it is full, so that no line is lost.
// Plain    <RFC 3339 UTC, microseconds>\t<level>\t<scope>\t<message>\t<key=value ...>
// JSON     {"level","time","scope","message",<fields>}
namespace ambit::observe {

enum class Level : uint8_t { kTrace, kDebug, kInfo, kWarn, kError, kOff };

std::string_view LevelName(Level level);

// A value written as it is, without quotes, in the plain form (addresses, names of our own).
struct Bare {
  std::string_view text;
};

struct Field {
  std::string_view key;
  std::variant<std::string_view, Bare, int64_t> value;
};

class Log {
 public:
  enum class Format { kPlain, kJson };
  struct Options {
    Format format = Format::kPlain;
    // Comma list of "<level>" and "<scope>=<level>"; the longest scope prefix wins.
    std::string filter = "info";
    int fd = 1;  // borrowed, must outlive the log
  };

  // Errors  kInvalidArgument: the filter does not parse.
  static Result<std::unique_ptr<Log>> Open(Options options);
  virtual ~Log() = default;

  virtual bool Enabled(Level level, std::string_view scope) const = 0;
  // Strings are copied before it returns.
  virtual void Write(Level level, std::string_view scope, std::string_view message,
                     std::span<const Field> fields) = 0;
  virtual std::string filter() const = 0;
  // Errors  kInvalidArgument: nothing changes then.
  virtual Result<void> SetFilter(std::string_view filter) = 0;
  // Returns after everything written before it has reached the descriptor.
  virtual void Flush() = 0;

  void Debug(std::string_view scope, std::string_view message,
             std::initializer_list<Field> fields = {});
  void Info(std::string_view scope, std::string_view message,
            std::initializer_list<Field> fields = {});
  void Warn(std::string_view scope, std::string_view message,
            std::initializer_list<Field> fields = {});
  void ErrorLine(std::string_view scope, std::string_view message,
                 std::initializer_list<Field> fields = {});
};

// Keeps lines in memory, for tests.
class MemoryLog : public Log {
 public:
  MemoryLog();
  ~MemoryLog() override;
  bool Enabled(Level level, std::string_view scope) const override;
  void Write(Level level, std::string_view scope, std::string_view message,
             std::span<const Field> fields) override;
  std::string filter() const override;
  Result<void> SetFilter(std::string_view filter) override;
  void Flush() override;
  // Plain lines without time, one per event, so far.
  std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ambit::observe
