#include <mutex>

#include "lib/observe/log.h"
#include "lib/observe/log_filter.h"
#include "lib/observe/log_line.h"

namespace ambit::observe {

struct MemoryLog::State {
  mutable std::mutex mutex;
  LogFilter filter = LogFilter::Parse("trace").value();
  std::string text;
};

MemoryLog::MemoryLog() : state_(std::make_unique<State>()) {}
MemoryLog::~MemoryLog() = default;

bool MemoryLog::Enabled(Level level, std::string_view scope) const {
  std::lock_guard lock(state_->mutex);
  return state_->filter.Enabled(level, scope);
}

void MemoryLog::Write(Level level, std::string_view scope, std::string_view message,
                      std::span<const Field> fields) {
  if (!Enabled(level, scope)) return;
  std::lock_guard lock(state_->mutex);
  state_->text += FormatLine(Format::kPlain, "", level, scope, message, fields);
}

std::string MemoryLog::filter() const {
  std::lock_guard lock(state_->mutex);
  return state_->filter.text();
}

Result<void> MemoryLog::SetFilter(std::string_view text) {
  auto parsed = LogFilter::Parse(text);
  if (!parsed) return Fail(parsed.error());
  std::lock_guard lock(state_->mutex);
  state_->filter = std::move(*parsed);
  return {};
}

void MemoryLog::Flush() {}

std::string MemoryLog::text() const {
  std::lock_guard lock(state_->mutex);
  return state_->text;
}

}  // namespace ambit::observe
