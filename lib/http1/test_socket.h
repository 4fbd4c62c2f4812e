#pragma once

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "lib/base/unique_fd.h"

// Plain sockets for the tests of lib/http1, to send what no proper client would.
namespace ambit::http1::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = "/tmp/ambit-http1-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string File(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

inline sockaddr_un UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// A listening socket of the test's own, blocking.
inline UniqueFd ListenAt(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = UnixAddress(path);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return {};
  if (listen(fd.get(), 8) != 0) return {};
  return fd;
}

inline UniqueFd ConnectTo(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = UnixAddress(path);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return {};
  return fd;
}

inline void SendText(int fd, std::string_view text) {
  (void)!::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
}

// Everything up to the end of the connection.
inline std::string ReadToEnd(int fd) {
  std::string text;
  std::array<char, 4096> chunk;
  for (ssize_t size; (size = ::recv(fd, chunk.data(), chunk.size(), 0)) > 0;) {
    text.append(chunk.data(), static_cast<size_t>(size));
  }
  return text;
}

}  // namespace ambit::http1::testing
