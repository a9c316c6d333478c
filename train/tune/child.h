// Child processes of this very program.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace winnow {

// Holds a file's lock for as long as this process or a child that was started with it lives.
class LockFile {
 public:
  explicit LockFile(const std::string& path);  // IoError
  ~LockFile();
  LockFile(LockFile&& other) noexcept;
  LockFile& operator=(LockFile&&) = delete;
  bool try_lock();  // false: another process holds it
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

struct ChildEnd {
  int exit_code = 0;  // of an ordinary end
  int signal = 0;     // that ended it; 0: none
};

// A running child. Its output goes to a file; it is in a process group of its own, so that Ctrl-C at a terminal reaches
// it only through stop(). Must be started from the main thread: with --with-parent it ends with that one.
class Child {
 public:
  // arguments: without the program's name. stdout and stderr go to the files, stdin is empty; `lock` is handed on.
  // IoError when it cannot be started.
  Child(const std::vector<std::string>& arguments, const std::string& output, const std::string& errors,
        const LockFile& lock);
  pid_t id() const { return id_; }
  std::optional<ChildEnd> poll();  // the end, once it has come
  void stop() const;               // SIGTERM: save and end

 private:
  pid_t id_ = 0;
  std::optional<ChildEnd> end_;
};

}  // namespace winnow
