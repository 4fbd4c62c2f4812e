#include "control-plane/callers/token_file.h"

#include "control-plane/callers/kept_file.h"

namespace ambit::callers {

TokenFile::Stamp TokenFile::Look() const {
  struct stat status{};
  if (stat(path_.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino, status.st_size,
          int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

Result<void> TokenFile::Read() {
  // The stamp first: a change while the file is read makes the next caller read it again.
  stamp_ = Look();
  auto text = ReadPublicFile(path_);
  if (!text) return Fail(text.error());
  auto table = TokenTable::Parse(*text);
  if (!table) return Fail(table.error().Wrap(path_));
  table_ = *std::move(table);
  return {};
}

Result<void> TokenFile::Load() {
  std::lock_guard lock(mutex_);
  if (path_.empty()) return {};
  return Read();
}

std::optional<std::string> TokenFile::NodeOf(std::string_view token) {
  std::lock_guard lock(mutex_);
  if (!path_.empty() && Look() != stamp_) {
    auto read = Read();
    if (!read) {
      log_.ErrorLine("callers", read.error().message() + "; the tokens of before stay valid");
    } else {
      log_.Info("callers", "token file was read again",
                {{"tokens", static_cast<int64_t>(table_.size())}});
    }
  }
  return table_.NodeOf(token);
}

}  // namespace ambit::callers
