#include "lib/observe/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <regex>

#include "lib/base/unique_fd.h"
#include "lib/observe/log_line.h"

namespace ambit::observe {
namespace {

struct Pipe {
  UniqueFd read, write;
};

Pipe MakePipe() {
  int fds[2];
  EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::string ReadAll(Pipe& pipe) {
  pipe.write.Reset();
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(pipe.read.get(), buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  return text;
}

TEST(Log, APlainLineHasTimeLevelScopeMessageAndFields) {
  Pipe pipe = MakePipe();
  {
    auto log = Log::Open({.fd = pipe.write.get()}).value();
    log->Info(
        "access", "connection complete",
        {{"src.addr", Bare{"10.0.0.1:5"}}, {"src.workload", "web"}, {"bytes_sent", int64_t{7}}});
  }
  EXPECT_TRUE(std::regex_match(
      ReadAll(pipe),
      std::regex(
          R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z	info	access	connection complete	)"
          R"(src\.addr=10\.0\.0\.1:5 src\.workload="web" bytes_sent=7\n)")));
}

TEST(Log, FlushReturnsAfterTheLineIsWritten) {
  Pipe pipe = MakePipe();
  auto log = Log::Open({.fd = pipe.write.get()}).value();
  log->Warn("a", "first");
  log->Flush();
  ASSERT_EQ(fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK), 0);
  char buffer[256];
  EXPECT_GT(read(pipe.read.get(), buffer, sizeof(buffer)), 0);
}

TEST(Log, TheFilterCanChangeWhileRunning) {
  Pipe pipe = MakePipe();
  {
    auto log = Log::Open({.fd = pipe.write.get()}).value();
    log->Debug("a", "hidden");
    ASSERT_TRUE(log->SetFilter("debug").has_value());
    log->Debug("a", "seen");
    EXPECT_FALSE(log->SetFilter("loud").has_value());
    EXPECT_EQ(log->filter(), "debug");
  }
  std::string text = ReadAll(pipe);
  EXPECT_EQ(text.find("hidden"), std::string::npos);
  EXPECT_NE(text.find("seen"), std::string::npos);
}

TEST(LogLine, ControlCharactersOfAPeerCannotForgeALine) {
  Field fields[] = {{"name", "a\"b\nc\x01"}, {"bare", Bare{"x\ny"}}};
  EXPECT_EQ(FormatLine(Log::Format::kPlain, "", Level::kInfo, "s", "m\nn", fields),
            "info\ts\tm\\nn\tname=\"a\\\"b\\nc\\u0001\" bare=x\\ny\n");
}

TEST(LogLine, JsonKeepsNumbersAsNumbers) {
  Field fields[] = {{"bytes", int64_t{5}}, {"addr", Bare{"1.2.3.4:5"}}};
  EXPECT_EQ(FormatLine(Log::Format::kJson, "t", Level::kError, "access", "done", fields),
            "{\"level\":\"error\",\"time\":\"t\",\"scope\":\"access\",\"message\":\"done\","
            "\"bytes\":5,\"addr\":\"1.2.3.4:5\"}\n");
}

TEST(MemoryLog, KeepsWhatWasWritten) {
  MemoryLog log;
  log.ErrorLine("zds", "peer is gone", {{"pid", int64_t{3}}});
  EXPECT_EQ(log.text(), "error\tzds\tpeer is gone\tpid=3\n");
}

}  // namespace
}  // namespace ambit::observe
