#include "train/tune/child.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/error.h"

extern char** environ;

namespace winnow {
namespace {

// Also when the file was replaced since this process was started.
const char* const kOwnProgram = "/proc/self/exe";

}  // namespace

LockFile::LockFile(const std::string& path) : descriptor_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  WN_CHECK(descriptor_ >= 0, IoError, "{}: cannot be opened: {}", path, strerror(errno));
}
LockFile::~LockFile() {
  if (descriptor_ >= 0) close(descriptor_);
}
LockFile::LockFile(LockFile&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
bool LockFile::try_lock() { return flock(descriptor_, LOCK_EX | LOCK_NB) == 0; }

Child::Child(const std::vector<std::string>& words, const std::string& output, const std::string& errors,
             const LockFile& lock) {
  const std::string name = "winnow";
  std::vector<char*> arguments = {const_cast<char*>(name.c_str())};
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&files, lock.descriptor(), lock.descriptor());  // stays open across exec
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGINT);
  sigaddset(&defaults, SIGTERM);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const int error = posix_spawn(&id_, kOwnProgram, &files, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  WN_CHECK(error == 0, IoError, "{}: cannot be started: {}", kOwnProgram, strerror(error));
}

std::optional<ChildEnd> Child::poll() {
  if (end_) return end_;
  int status = 0;
  const pid_t found = waitpid(id_, &status, WNOHANG);
  if (found == 0 || (found < 0 && errno == EINTR)) return std::nullopt;
  end_ = ChildEnd{};
  if (found == id_ && WIFEXITED(status))
    end_->exit_code = WEXITSTATUS(status);
  else
    end_->signal = found == id_ && WIFSIGNALED(status) ? WTERMSIG(status) : SIGKILL;
  return end_;
}

void Child::stop() const {
  if (!end_) kill(id_, SIGTERM);
}

}  // namespace winnow
