#include "core/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "core/checksum.h"
#include "core/error.h"
#include "core/text.h"

namespace winnow {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "winnow_file_test_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()));
  }
  std::string directory_;
};

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const IoError& e) { return e.what(); }
  return "no IoError";
}

TEST_F(FileTest, MappingShowsTheBytes) {
  std::ofstream(path("a")) << "hello";
  const MappedFile file(path("a"));
  EXPECT_EQ(file.size(), 5u);
  EXPECT_EQ(file.text(), "hello");
  EXPECT_EQ(file.bytes().size(), 5u);
}

TEST_F(FileTest, MappingOfAnEmptyFileIsEmpty) {
  std::ofstream(path("a")).flush();
  const MappedFile file(path("a"));
  EXPECT_EQ(file.size(), 0u);
  EXPECT_EQ(file.text(), "");
}

TEST_F(FileTest, MappingOutlivesReplacementAndMoves) {
  write_atomically(path("a"), "old");
  MappedFile file(path("a"));
  write_atomically(path("a"), "new, longer");
  MappedFile moved(std::move(file));
  EXPECT_EQ(moved.text(), "old");
  MappedFile other(path("a"));
  other = std::move(moved);
  EXPECT_EQ(other.text(), "old");
}

TEST_F(FileTest, RefusesWhatIsNotARegularFile) {
  EXPECT_EQ(error_of([&] { MappedFile file(path("absent")); }),
            path("absent") + ": cannot open: No such file or directory");
  EXPECT_EQ(error_of([&] { MappedFile file(directory_); }), directory_ + ": cannot open: it is a directory");
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(error_of([&] { read_text(path("pipe"), 10); }), path("pipe") + ": cannot open: not a regular file");
  EXPECT_EQ(error_of([&] { read_text("", 10); }), "the path is empty");
  EXPECT_EQ(error_of([&] { read_text(std::string("a\0b", 3), 10); }), "a: the path holds a NUL byte");
}

TEST_F(FileTest, ReadTextStopsAtTheLimit) {
  std::ofstream(path("a")) << "0123456789";
  EXPECT_EQ(read_text(path("a"), 10), "0123456789");
  EXPECT_EQ(read_text(path("a"), 1000), "0123456789");
  EXPECT_EQ(error_of([&] { read_text(path("a"), 9); }), path("a") + ": larger than the 9 bytes allowed here");
  EXPECT_FALSE(read_text("/proc/self/status", 1 << 20).empty()) << "files whose size says 0";
}

TEST_F(FileTest, CommitReplacesTheWholeFileAndLeavesNothingElse) {
  write_atomically(path("a"), "first, longer");
  write_atomically(path("a"), "second");
  EXPECT_EQ(read_text(path("a"), 100), "second");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, WithoutCommitTheOldFileStays) {
  write_atomically(path("a"), "old");
  {
    AtomicFile file(path("a"));
    file.write("new");
    EXPECT_EQ(entries(), 2u);
  }
  EXPECT_EQ(read_text(path("a"), 100), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, SmallAndLargePiecesKeepTheirOrder) {
  std::mt19937 random(1);
  std::string expected;
  AtomicFile file(path("a"));
  for (const size_t size : {1u, 0u, 1000u, 300000u, 7u, 262144u, 262143u, 5u, 1u << 20, 3u}) {
    std::string piece(size, '\0');
    for (char& c : piece) c = static_cast<char>(random());
    file.write(piece);
    expected += piece;
  }
  file.commit();
  EXPECT_EQ(read_text(path("a"), 1 << 24), expected);
}

TEST_F(FileTest, StaleTemporaryIsTakenOver) {
  std::ofstream(path("a.winnow-tmp")) << std::string(100, 'x');  // what a killed process leaves
  write_atomically(path("a"), "new");
  EXPECT_EQ(read_text(path("a"), 100), "new");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, SecondWriterOfThePathIsRefused) {
  AtomicFile first(path("a"));
  EXPECT_EQ(error_of([&] { AtomicFile second(path("a")); }), path("a") + ": another process is writing this file");
  first.write("first");
  first.commit();
  EXPECT_EQ(read_text(path("a"), 100), "first");
}

TEST_F(FileTest, ManyWritersNeverMix) {
  std::vector<std::thread> threads;
  for (char letter = 'a'; letter < 'e'; ++letter)
    threads.emplace_back([this, letter] {
      for (int i = 0; i < 50; ++i) try {
          write_atomically(path("f"), std::string(5000, letter));
        } catch (const IoError&) {  // the other one was faster
        }
    });
  for (int i = 0; i < 200; ++i) {
    if (!file_exists(path("f"))) continue;
    const std::string text = read_text(path("f"), 10000);
    EXPECT_EQ(text, std::string(5000, text.at(0)));
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, TemporaryThatIsALinkIsRefused) {
  write_atomically(path("precious"), "keep");
  fs::create_symlink(path("precious"), path("a.winnow-tmp"));
  EXPECT_NE(error_of([&] { write_atomically(path("a"), "x"); }).find("cannot create"), std::string::npos);
  fs::remove(path("a.winnow-tmp"));
  fs::create_hard_link(path("precious"), path("a.winnow-tmp"));
  EXPECT_NE(error_of([&] { write_atomically(path("a"), "x"); }).find("in the way"), std::string::npos);
  EXPECT_EQ(read_text(path("precious"), 100), "keep");
}

// The file-size limit gives a real short write followed by an error, as a full disk does.
TEST_F(FileTest, ShortWriteAndFullDiskKeepTheOldFile) {
  write_atomically(path("a"), "old");
  const auto previous = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit lower{10000, limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &lower), 0);
  const std::string text = error_of([&] { write_atomically(path("a"), std::string(1 << 20, 'x')); });
  std::string after = "no error from write";
  try {
    AtomicFile file(path("a"));
    after = error_of([&] { file.write(std::string(1 << 20, 'x')); });
    EXPECT_NE(error_of([&] { file.write("more"); }).find("after an error"), std::string::npos);
    EXPECT_NE(error_of([&] { file.commit(); }).find("after an error"), std::string::npos);
  } catch (const IoError& e) { after = e.what(); }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::signal(SIGXFSZ, previous);
  EXPECT_EQ(text, path("a") + ": cannot write: File too large");
  EXPECT_EQ(after, text);
  EXPECT_EQ(read_text(path("a"), 100), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, FailureToRenameRemovesTheTemporary) {
  ASSERT_EQ(::mkdir(path("a").c_str(), 0700), 0);
  EXPECT_EQ(error_of([&] { write_atomically(path("a"), "x"); }), path("a") + ": cannot put in place: Is a directory");
  EXPECT_EQ(entries(), 1u);
  EXPECT_NE(error_of([&] { write_atomically(path("no/such/dir"), "x"); }).find("No such file"), std::string::npos);
}

TEST_F(FileTest, KilledWriterLeavesTheOldFile) {
  write_atomically(path("a"), "old");
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file(path("a"));
    file.write(std::string(1 << 20, 'x'));
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(read_text(path("a"), 100), "old");
  write_atomically(path("a"), "next");
  EXPECT_EQ(read_text(path("a"), 100), "next");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, MakesNestedDirectories) {
  make_directories(path("x/y//z/"));
  EXPECT_TRUE(directory_exists(path("x/y/z")));
  make_directories(path("x/y/z"));
  std::ofstream(path("f")) << "file";
  EXPECT_NE(error_of([&] { make_directories(path("f/g")); }).find("cannot create the directory"), std::string::npos);
  EXPECT_NE(error_of([&] { make_directories(path("f")); }).find("File exists"), std::string::npos);
}

TEST(FilePaths, ParentDirectory) {
  EXPECT_EQ(parent_directory("a"), ".");
  EXPECT_EQ(parent_directory("a/b"), "a");
  EXPECT_EQ(parent_directory("a//b//"), "a");
  EXPECT_EQ(parent_directory("/a"), "/");
  EXPECT_EQ(parent_directory("//a/"), "/");
  EXPECT_EQ(parent_directory("/"), "/");
  EXPECT_EQ(parent_directory(""), ".");
}

TEST(FilePaths, PlainNamesCannotLeaveTheirDirectory) {
  for (const char* good : {"a", "model_v2.1-b", "A.safetensors"}) EXPECT_TRUE(is_plain_name(good)) << good;
  for (const char* bad : {"", ".", "..", ".hidden", "a/b", "../a", "a\\b", "a b", "%2e%2e", "caf\xc3\xa9", "\xc0\xae"})
    EXPECT_FALSE(is_plain_name(bad)) << bad;
  EXPECT_TRUE(is_plain_name(std::string(64, 'a')));
  EXPECT_FALSE(is_plain_name(std::string(65, 'a')));
  EXPECT_FALSE(is_plain_name(std::string_view("a\0b", 3)));
}

// Bit-at-a-time definition of CRC-32C.
uint32_t slow_crc32c(const std::string& data) {
  uint32_t crc = ~0u;
  for (const char c : data) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1u)));
  }
  return ~crc;
}

TEST(Checksum, PublishedValues) {  // RFC 3720, B.4
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0').data(), 32), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff').data(), 32), 0x62a8ab43u);
  EXPECT_EQ(crc32c(nullptr, 0), 0u);
}

TEST(Checksum, AgreesWithTheDefinitionAtEverySizeAndSplit) {
  std::mt19937 random(2);
  std::string data(40000, '\0');
  for (char& c : data) c = static_cast<char>(random());
  for (const size_t n : {1u, 7u, 8u, 9u, 63u, 4096u, 12287u, 12288u, 12289u, 24583u, 40000u}) {
    const uint32_t expected = slow_crc32c(data.substr(0, n));
    EXPECT_EQ(crc32c(data.data(), n), expected) << n;
    EXPECT_EQ(crc32c(data.data() + n / 3, n - n / 3, crc32c(data.data(), n / 3)), expected) << n;
  }
}

TEST(Text, EditDistance) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("epcohs", "epochs"), 1) << "a swap of neighbours is one edit";
  EXPECT_EQ(edit_distance("ca", "abc"), 3) << "optimal string alignment, not the unrestricted distance";
}

TEST(Text, NearestSuggestsOnlyWhatIsClose) {
  const std::vector<std::string> known = {"epochs", "batch_size", "lr", "seed"};
  EXPECT_EQ(nearest("epoch", known), "epochs");
  EXPECT_EQ(nearest("batchsize", known), "batch_size");
  EXPECT_EQ(nearest("rl", known), "lr");
  EXPECT_EQ(nearest("optimizer", known), "");
  EXPECT_EQ(nearest(std::string(1000, 'e'), known), "");
  EXPECT_EQ(nearest("x", {}), "");
  EXPECT_EQ(did_you_mean("sead", known), "; did you mean 'seed'?");
  EXPECT_EQ(did_you_mean("zzzz", known), "");
}

TEST(Text, QuotedIsPrintable) {
  EXPECT_EQ(quoted("weight"), "'weight'");
  EXPECT_EQ(quoted("caf\xc3\xa9"), "'caf\xc3\xa9'");
  EXPECT_EQ(quoted(std::string_view("a\0\n'\x1b[2J", 8)), "'a\\x00\\x0a\\x27\\x1b[2J'");
  EXPECT_EQ(quoted("\xff"), "'\\xff'");
  EXPECT_EQ(quoted(std::string(100, 'a'), 5), "'aaaaa...'");
}

TEST(Text, Utf8) {
  for (const char* good : {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad : {"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\xaf",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "\xff"})
    EXPECT_FALSE(is_utf8(bad)) << quoted(bad);
}

}  // namespace
}  // namespace winnow
