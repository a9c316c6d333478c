// A few threads for what may take milliseconds, with a bounded line before them.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace winnow {

class Workers {
 public:
  Workers(int threads, size_t waiting);
  ~Workers();                             // what waits is dropped
  bool post(std::function<void()> task);  // false: the line is full
  size_t waiting() const;

 private:
  void run();
  const size_t most_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace winnow
