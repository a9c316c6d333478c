// A file that grows over several runs.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace winnow::detail {

// "<path>.part" until commit() renames it to path. Errors are IoErrors. Unlike AtomicFile's, the file stays when the
// object goes without commit().
class PartFile {
 public:
  PartFile(std::string path, int64_t keep);  // goes on after the first `keep` bytes; 0: a new one
  ~PartFile();
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;
  void write(std::string_view text);
  void sync();  // to the disk
  void commit();
  int64_t size() const { return size_; }

 private:
  [[noreturn]] void fail(const char* what) const;
  std::string path_, part_;
  int descriptor_ = -1;
  int64_t size_ = 0;
};

// Syncs a finished file, renames it to `path` and syncs the directory. IoError.
void put_in_place(const std::string& temporary, const std::string& path);

std::string part_path(const std::string& path);
std::string state_path(const std::string& path);

}  // namespace winnow::detail
