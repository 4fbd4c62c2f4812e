#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "lib/base/error.h"

namespace ambit::callers {

// Replaces the file at once and for good: temporary file, fsync, rename, fsync of the folder.
// Errors  the errno's; the file is then as it was.
Result<void> KeepFile(const std::string& path, std::string_view content, mode_t mode);

// At most 1 MiB. Errors  the errno's; kInvalidArgument: no regular file, or larger.
Result<std::string> ReadPublicFile(const std::string& path);
// Errors  as above; kPermissionDenied: group or others may read it.
Result<std::string> ReadSecretFile(const std::string& path);

}  // namespace ambit::callers
