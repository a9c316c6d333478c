// Files: read-only mappings, whole texts, and writes that appear in full or not at all.
// Every failure is an IoError "path: what failed: the system's reason". Paths must not hold a NUL byte.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace winnow {

// A regular file mapped read-only. The file must not be shortened while it is mapped (readers of files that
// AtomicFile replaces are safe: the old file lives on until the last mapping goes).
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);  // IoError: absent, not a regular file, no permission, ...
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  const std::string& path() const { return path_; }
  size_t size() const { return size_; }
  const std::byte* data() const { return data_; }  // null for an empty file
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// The whole of a regular file; IoError when it holds more than max_bytes.
std::string read_text(const std::string& path, size_t max_bytes);

// Writes `path` aside and puts it in place at commit(): a reader, or a start after a crash, sees the old file or the
// whole new one. The bytes go to "<path>.winnow-tmp" in the same directory; commit() syncs them to the disk, renames,
// and syncs the directory. Without commit() the destructor removes the temporary file and `path` stays as it was; a
// killed process leaves the temporary behind and the next AtomicFile of the same path takes it over. Two writers of one
// path at a time: the second gets an IoError (an advisory lock on the
// temporary, where the file system has locks). A symbolic link at `path` is replaced.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);  // buffered; IoError removes the temporary and ends the file's use
  void write(std::string_view text) { write(text.data(), text.size()); }
  // After an IoError from here the old file is still in place, but for one case the text names: the directory could not
  // be synced, so that the new file is in place and may not outlive a power cut.
  void commit();

 private:
  bool take_temporary();
  void flush();
  void write_through(const char* data, size_t bytes);
  void abandon() noexcept;
  [[noreturn]] void fail(const char* what, int error);

  std::string path_, temporary_, buffer_;
  int descriptor_ = -1;
};

void write_atomically(const std::string& path, std::string_view text);

// Creates the directory and its parents where they are absent, and syncs each new entry.
void make_directories(const std::string& path);

bool file_exists(const std::string& path);              // a regular file, or a link to one
bool directory_exists(const std::string& path);         // likewise
std::string parent_directory(const std::string& path);  // "." for a bare name

// A name that cannot leave its directory: 1 to 64 of [A-Za-z0-9_.-], no leading dot.
bool is_plain_name(std::string_view name);

}  // namespace winnow
