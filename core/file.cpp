#include "core/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace winnow {
namespace {

constexpr size_t kBuffer = size_t{256} << 10;

std::string reason(int error) {
  switch (error) {
    case ENOSPC: return "disk full";
    case EDQUOT: return "disk quota exceeded";
    case EMFILE: return "too many open files in this process (raise `ulimit -n`)";
    case EROFS: return "read-only file system";
    default: return std::generic_category().message(error);
  }
}

[[noreturn]] void fail_io(const std::string& path, const char* what, int error) {
  raise<IoError>("{}: {}: {}", path, what, reason(error));
}

void check_path(const std::string& path) {
  WN_CHECK(!path.empty(), IoError, "the path is empty");
  WN_CHECK(path.find('\0') == std::string::npos, IoError, "{}: the path holds a NUL byte", path.c_str());
}

// Repeats a system call that a signal interrupted.
template <class F>
auto uninterrupted(F&& call) {
  decltype(call()) result;
  do result = call();
  while (result == -1 && errno == EINTR);
  return result;
}

// Closes on every way out. Linux releases the descriptor even when close reports EINTR, so it is never repeated.
struct Descriptor {
  int number = -1;
  explicit Descriptor(int n) : number(n) {}
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

// O_NONBLOCK: opening a pipe must not wait for its writer; regular_size() refuses it then.
int open_descriptor(const std::string& path) {
  check_path(path);
  const int n = uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (n < 0) fail_io(path, "cannot open", errno);
  return n;
}

size_t regular_size(const std::string& path, const Descriptor& file) {
  struct stat info;
  if (::fstat(file.number, &info) != 0) fail_io(path, "cannot stat", errno);
  WN_CHECK(!S_ISDIR(info.st_mode), IoError, "{}: cannot open: it is a directory", path);
  WN_CHECK(S_ISREG(info.st_mode), IoError, "{}: cannot open: not a regular file", path);
  return static_cast<size_t>(info.st_size);
}

void sync_directory(const std::string& path, const char* what) {
  const Descriptor directory(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY); }));
  if (directory.number < 0) fail_io(path, what, errno);
  // EINVAL: this file system has no such notion and orders its directory updates itself.
  if (uninterrupted([&] { return ::fsync(directory.number); }) != 0 && errno != EINVAL) fail_io(path, what, errno);
}

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const Descriptor file(open_descriptor(path));
  const size_t size = regular_size(path, file);
  if (size == 0) return;  // mmap refuses a length of 0
  void* at = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.number, 0);
  if (at == MAP_FAILED) fail_io(path, "cannot map into memory", errno);
  data_ = static_cast<const std::byte*>(at);
  size_ = size;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

std::string read_text(const std::string& path, size_t max_bytes) {
  const Descriptor file(open_descriptor(path));
  const size_t size = regular_size(path, file);
  // The size is a hint: files of /proc say 0, and a file may grow while it is read.
  std::string text;
  size_t filled = 0;
  for (;;) {
    WN_CHECK(filled <= max_bytes, IoError, "{}: larger than the {} bytes allowed here", path, max_bytes);
    if (filled == text.size()) text.resize(std::min(max_bytes, std::max(filled + 4096, size)) + 1);
    const ssize_t n = uninterrupted([&] { return ::read(file.number, text.data() + filled, text.size() - filled); });
    if (n < 0) fail_io(path, "cannot read", errno);
    if (n == 0) break;
    filled += static_cast<size_t>(n);
  }
  text.resize(filled);
  return text;
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), temporary_(path_ + ".winnow-tmp") {
  check_path(path_);
  buffer_.reserve(kBuffer);
  while (!take_temporary()) {}
  if (uninterrupted([&] { return ::ftruncate(descriptor_, 0); }) != 0)
    fail("cannot empty a stale temporary file", errno);
}

// False when another writer put the file in place or removed it between the opening and the lock: its name is free
// again.
bool AtomicFile::take_temporary() {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  int opened = uninterrupted([&] { return ::open(temporary_.c_str(), kFlags | O_EXCL, 0666); });
  const bool created = opened >= 0;
  if (!created && errno == EEXIST) opened = uninterrupted([&] { return ::open(temporary_.c_str(), kFlags, 0666); });
  if (opened < 0) fail_io(temporary_, "cannot create", errno);
  Descriptor guard(opened);  // until the temporary is known to be ours
  const auto give_up = [&](const char* what, int error) {
    if (created) ::unlink(temporary_.c_str());
    fail_io(temporary_, what, error);
  };
  struct stat info, named;
  if (::fstat(opened, &info) != 0) give_up("cannot stat", errno);
  WN_CHECK(S_ISREG(info.st_mode) && info.st_nlink <= 1, IoError, "{}: is in the way of a temporary file; remove it",
           temporary_);
  if (uninterrupted([&] { return ::flock(opened, LOCK_EX | LOCK_NB); }) != 0) {
    WN_CHECK(errno != EWOULDBLOCK, IoError, "{}: another process is writing this file", path_);
    // Some network file systems have no locks. The lock only turns a mix-up of writers into an error.
    if (errno != ENOLCK && errno != ENOSYS && errno != EOPNOTSUPP) give_up("cannot lock", errno);
  }
  const bool absent = ::stat(temporary_.c_str(), &named) != 0;
  if (absent && errno != ENOENT) give_up("cannot stat", errno);
  if (absent || named.st_ino != info.st_ino || named.st_dev != info.st_dev) return false;
  descriptor_ = std::exchange(guard.number, -1);
  return true;
}

AtomicFile::~AtomicFile() { abandon(); }

void AtomicFile::abandon() noexcept {
  if (descriptor_ < 0) return;
  ::unlink(temporary_.c_str());  // before the lock goes with the descriptor: nobody else's file can have this name
  ::close(descriptor_);
  descriptor_ = -1;
}

void AtomicFile::fail(const char* what, int error) {
  abandon();
  fail_io(path_, what, error);
}

void AtomicFile::write_through(const char* data, size_t bytes) {
  while (bytes > 0) {
    const ssize_t n = uninterrupted([&] { return ::write(descriptor_, data, bytes); });
    if (n < 0) fail("cannot write", errno);
    if (n == 0) fail("cannot write", EIO);  // never for a regular file; a loop without end must not depend on that
    data += n;
    bytes -= static_cast<size_t>(n);
  }
}

void AtomicFile::flush() {
  write_through(buffer_.data(), buffer_.size());
  buffer_.clear();
}

void AtomicFile::write(const void* data, size_t bytes) {
  WN_CHECK(descriptor_ >= 0, IoError, "{}: written after commit() or after an error", path_);
  if (buffer_.size() + bytes > kBuffer) flush();
  if (bytes >= kBuffer)
    write_through(static_cast<const char*>(data), bytes);
  else
    buffer_.append(static_cast<const char*>(data), bytes);
}

void AtomicFile::commit() {
  WN_CHECK(descriptor_ >= 0, IoError, "{}: committed twice or after an error", path_);
  flush();
  // A failed fsync is final: the kernel may have dropped the pages, and a second one would report success.
  if (uninterrupted([&] { return ::fsync(descriptor_); }) != 0) fail("cannot write to the disk", errno);
  if (uninterrupted([&] { return ::rename(temporary_.c_str(), path_.c_str()); }) != 0)
    fail("cannot put in place", errno);
  ::close(descriptor_);  // synced: nothing is left for close to report
  descriptor_ = -1;
  sync_directory(parent_directory(path_), "the new file is in place, but its directory cannot be synced");
}

void write_atomically(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void make_directories(const std::string& path) {
  check_path(path);
  if (directory_exists(path)) return;
  const std::string parent = parent_directory(path);
  if (parent != path) make_directories(parent);
  if (uninterrupted([&] { return ::mkdir(path.c_str(), 0777); }) != 0) {
    const int error = errno;
    if (error == EEXIST && directory_exists(path)) return;  // another process was faster
    fail_io(path, "cannot create the directory", error);
  }
  sync_directory(parent, "cannot sync the directory");
}

bool file_exists(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

bool directory_exists(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::string parent_directory(const std::string& path) {
  const size_t last = path.find_last_not_of('/');
  if (last == std::string::npos) return path.empty() ? "." : "/";
  const size_t slash = path.find_last_of('/', last);
  if (slash == std::string::npos) return ".";
  const size_t end = path.find_last_not_of('/', slash);
  return end == std::string::npos ? "/" : path.substr(0, end + 1);
}

bool is_plain_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  };
  return !name.empty() && name.size() <= 64 && name[0] != '.' && std::all_of(name.begin(), name.end(), allowed);
}

}  // namespace winnow
