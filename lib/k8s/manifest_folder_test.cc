#include "lib/k8s/manifest_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>

#include "lib/k8s/recording_listener.h"

namespace ambit::k8s {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string PodText(const std::string& name, const std::string& ip) {
  return "{kind: Pod, metadata: {name: " + name + "}, status: {podIP: " + ip + "}}\n";
}

class ManifestFolderTest : public ::testing::Test {
 protected:
  ManifestFolderTest() {
    std::string pattern = fs::temp_directory_path() / "ambit-manifests-XXXXXX";
    root_ = mkdtemp(pattern.data());
    folder_ = root_ / "manifests";
    fs::create_directory(folder_);
  }
  ~ManifestFolderTest() override {
    source_.reset();
    fs::remove_all(root_);
  }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }

  Result<void> Start() {
    source_ = std::make_unique<ManifestFolder>(context_, folder_.string(), log_);
    return source_->Start(listener_);
  }

  void StartWith(const std::string& name, const std::string& text) {
    Write(name, text);
    auto started = Start();
    ASSERT_TRUE(started) << started.error().message();
    listener_.Take();
  }

  // Runs the loop until the condition holds; the inotify event is what wakes it.
  void RunUntil(const std::function<bool()>& condition) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << log_.text();
      context_.run_one_until(deadline);
      context_.restart();
    }
  }

  std::vector<std::string> NextLines() {
    RunUntil([this] { return !listener_.lines.empty(); });
    return listener_.Take();
  }

  void RunUntilLogged(const std::string& text) {
    RunUntil([&] { return log_.text().find(text) != std::string::npos; });
  }

  fs::path root_;
  fs::path folder_;
  boost::asio::io_context context_;
  observe::MemoryLog log_;
  RecordingListener listener_;
  std::unique_ptr<ManifestFolder> source_;
};

TEST_F(ManifestFolderTest, AMissingFolderIsAnErrorAtStart) {
  fs::remove(folder_);
  auto started = Start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(started.error().message(), HasSubstr(folder_.string()));
}

TEST_F(ManifestFolderTest, EverythingIsAnnouncedBeforeSynced) {
  Write("b.yaml", PodText("web", "10.0.0.1"));
  Write("a.json", R"({"kind":"Namespace","metadata":{"name":"default"}})");
  Write("notes.txt", "no manifest");
  Write(".hidden.yaml", PodText("hidden", "10.0.0.2"));
  ASSERT_TRUE(Start());
  EXPECT_THAT(listener_.Take(),
              ElementsAre("+namespace default", "+pod default/web 10.0.0.1", "synced"));
}

TEST_F(ManifestFolderTest, WritingAddingAndRemovingFilesIsSeen) {
  StartWith("a.yaml", PodText("web", "10.0.0.1"));
  Write("a.yaml", PodText("web", "10.0.0.2"));
  EXPECT_THAT(NextLines(), ElementsAre("+pod default/web 10.0.0.2"));
  Write("b.yaml", PodText("db", "10.0.0.3"));
  EXPECT_THAT(NextLines(), ElementsAre("+pod default/db 10.0.0.3"));
  fs::remove(folder_ / "a.yaml");
  EXPECT_THAT(NextLines(), ElementsAre("-pod default/web 10.0.0.2"));
}

TEST_F(ManifestFolderTest, AnAtomicRenameOverAFileIsOneChange) {
  StartWith("a.yaml", PodText("web", "10.0.0.1"));
  Write("a.yaml.tmp", PodText("web", "10.0.0.9"));
  fs::rename(folder_ / "a.yaml.tmp", folder_ / "a.yaml");
  EXPECT_THAT(NextLines(), ElementsAre("+pod default/web 10.0.0.9"));
}

TEST_F(ManifestFolderTest, AHalfWrittenFileIsNotReadUntilItIsClosed) {
  StartWith("a.yaml", PodText("web", "10.0.0.1"));
  std::ofstream slow(folder_ / "a.yaml");
  slow << PodText("half", "10.0.0.5") << "---\n" << std::flush;
  Write("b.yaml", PodText("db", "10.0.0.3"));
  EXPECT_THAT(NextLines(), ElementsAre("+pod default/db 10.0.0.3"));
  slow << PodText("web", "10.0.0.1");
  slow.close();
  EXPECT_THAT(NextLines(), ElementsAre("+pod default/half 10.0.0.5"));
}

TEST_F(ManifestFolderTest, ABadFileIsLoggedAndItsLastGoodObjectsStay) {
  StartWith("a.yaml", PodText("web", "10.0.0.1"));
  Write("a.yaml", "{kind: Pod, metadata: {name: web}, status: {podIP: nonsense}}");
  RunUntilLogged("status.podIP is not an IP address");
  EXPECT_THAT(log_.text(), HasSubstr("a.yaml: document 1: Pod web"));
  EXPECT_THAT(listener_.Take(), IsEmpty());
  Write("a.yaml", PodText("web", "10.0.0.2"));
  EXPECT_THAT(NextLines(), ElementsAre("+pod default/web 10.0.0.2"));
}

TEST_F(ManifestFolderTest, APipeDoesNotBlockTheLoop) {
  StartWith("a.yaml", PodText("web", "10.0.0.1"));
  ASSERT_EQ(mkfifo((root_ / "pipe").c_str(), 0600), 0);
  fs::rename(root_ / "pipe", folder_ / "pipe.yaml");
  RunUntilLogged("pipe.yaml is no regular file");
}

TEST_F(ManifestFolderTest, DuplicatesAreReported) {
  StartWith("a.yaml", PodText("web", "10.0.0.1"));
  Write("b.yaml", PodText("web", "10.0.0.2"));
  RunUntilLogged("Pod default/web in b.yaml is ignored");
  EXPECT_THAT(listener_.Take(), IsEmpty());
}

TEST_F(ManifestFolderTest, AConfigMapMountThatSwapsItsDataLinkIsReadAnew) {
  fs::create_directory(folder_ / "..v1");
  std::ofstream(folder_ / "..v1" / "a.yaml") << PodText("web", "10.0.0.1");
  fs::create_symlink("..v1", folder_ / "..data");
  fs::create_symlink("..data/a.yaml", folder_ / "a.yaml");
  ASSERT_TRUE(Start());
  EXPECT_THAT(listener_.Take(), ElementsAre("+pod default/web 10.0.0.1", "synced"));
  fs::create_directory(folder_ / "..v2");
  std::ofstream(folder_ / "..v2" / "a.yaml") << PodText("web", "10.0.0.2");
  fs::create_symlink("..v2", folder_ / "..data_tmp");
  fs::rename(folder_ / "..data_tmp", folder_ / "..data");
  EXPECT_THAT(NextLines(), ElementsAre("+pod default/web 10.0.0.2"));
}

TEST_F(ManifestFolderTest, ALinkIsReadWhenItAppears) {
  StartWith("a.yaml", PodText("web", "10.0.0.1"));
  std::ofstream(root_ / "elsewhere") << PodText("db", "10.0.0.3");
  fs::create_symlink(root_ / "elsewhere", folder_ / "b.yaml");
  EXPECT_THAT(NextLines(), ElementsAre("+pod default/db 10.0.0.3"));
}

TEST_F(ManifestFolderTest, AFolderThatIsRemovedAndMadeAgainIsWatchedAgain) {
  StartWith("a.yaml", PodText("web", "10.0.0.1"));
  fs::remove_all(folder_);
  EXPECT_THAT(NextLines(), ElementsAre("-pod default/web 10.0.0.1"));
  RunUntilLogged("went away");
  fs::create_directory(folder_);
  Write("a.yaml", PodText("web", "10.0.0.2"));
  EXPECT_THAT(NextLines(), ElementsAre("+pod default/web 10.0.0.2"));
  Write("a.yaml", PodText("web", "10.0.0.3"));
  EXPECT_THAT(NextLines(), ElementsAre("+pod default/web 10.0.0.3"));
}

TEST_F(ManifestFolderTest, AFolderThatIsExchangedKeepsItsObjectsUntilTheNewOneIsRead) {
  StartWith("a.yaml", PodText("web", "10.0.0.1"));
  fs::rename(folder_, root_ / "old");
  RunUntilLogged("went away");
  EXPECT_THAT(listener_.Take(), IsEmpty());
  fs::create_directory(root_ / "new");
  std::ofstream(root_ / "new" / "b.yaml") << PodText("db", "10.0.0.3");
  fs::rename(root_ / "new", folder_);
  EXPECT_THAT(NextLines(), ElementsAre("+pod default/db 10.0.0.3", "-pod default/web 10.0.0.1"));
}

TEST_F(ManifestFolderTest, ASourceThatIsDestroyedLeavesTheLoopEmpty) {
  StartWith("a.yaml", PodText("web", "10.0.0.1"));
  source_.reset();
  context_.restart();
  context_.run();
  EXPECT_TRUE(context_.stopped());
}

}  // namespace
}  // namespace ambit::k8s
