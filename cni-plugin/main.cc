#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>

#include "cni-plugin/config.h"
#include "cni-plugin/kernel.h"
#include "cni-plugin/plugin.h"
#include "cni-plugin/stop_signal.h"
#include "cni-plugin/transport.h"

namespace {

// One byte above the limit is enough to be refused for it.
ambit::Result<std::string> ReadStandardInput() {
  std::string text;
  std::array<char, 65536> chunk;
  while (text.size() <= ambit::cni::kMaxConfigBytes) {
    ssize_t size = read(STDIN_FILENO, chunk.data(), chunk.size());
    if (size == 0) break;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return ambit::FailErrno(errno, "read stdin");
    text.append(chunk.data(), static_cast<size_t>(size));
  }
  return text;
}

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t size = write(fd, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    text.remove_prefix(static_cast<size_t>(size));
  }
  return true;
}

}  // namespace

int main() {
  auto stop = ambit::cni::StopSignal::Catch();
  ambit::Environment environment = ambit::Environment::OfProcess();
  ambit::cni::UnixTransport transport(stop ? stop->fd() : -1);
  ambit::cni::LinuxKernel kernel;
  ambit::SystemClock clock;
  ambit::cni::Output output = ambit::cni::RunPlugin({.environment = environment,
                                                     .read_config = ReadStandardInput,
                                                     .transport = transport,
                                                     .kernel = kernel,
                                                     .clock = clock});
  WriteAll(STDERR_FILENO, output.standard_error);
  return WriteAll(STDOUT_FILENO, output.standard_out) ? output.exit_code : 1;
}
