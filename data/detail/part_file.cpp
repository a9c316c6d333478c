#include "data/detail/part_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/error.h"
#include "core/file.h"

namespace winnow::detail {

std::string part_path(const std::string& path) { return path + ".part"; }
std::string state_path(const std::string& path) { return path + ".state"; }

PartFile::PartFile(std::string path, int64_t keep) : path_(std::move(path)), part_(part_path(path_)), size_(keep) {
  descriptor_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("cannot be opened");
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) fail("cannot be read");
  WN_CHECK(status.st_size >= keep, IoError, "{}: {} bytes, but {} were saved; remove it and {} and start anew", part_,
           static_cast<int64_t>(status.st_size), keep, state_path(path_));
  if (::ftruncate(descriptor_, keep) != 0 || ::lseek(descriptor_, keep, SEEK_SET) < 0) fail("cannot be cut");
}

PartFile::~PartFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void PartFile::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("cannot be written");
    size_ += written;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

void PartFile::sync() {
  if (::fsync(descriptor_) != 0) fail("cannot be synced");
}

void PartFile::commit() { put_in_place(part_, path_); }

void PartFile::fail(const char* what) const { raise<IoError>("{}: {}: {}", part_, what, std::strerror(errno)); }

void put_in_place(const std::string& temporary, const std::string& path) {
  const auto sync = [](const std::string& name, int flags) {
    const int descriptor = ::open(name.c_str(), O_RDONLY | O_CLOEXEC | flags);
    const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
    const int error = errno;
    if (descriptor >= 0) ::close(descriptor);
    errno = error;
    return synced;
  };
  WN_CHECK(sync(temporary, 0) && std::rename(temporary.c_str(), path.c_str()) == 0, IoError,
           "{}: cannot be put in place: {}", path, std::strerror(errno));
  WN_CHECK(sync(parent_directory(path), O_DIRECTORY), IoError,
           "{}: is in place, but its directory could not be synced: {}", path, std::strerror(errno));
}

}  // namespace winnow::detail
