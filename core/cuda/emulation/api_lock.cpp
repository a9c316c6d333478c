#include "core/cuda/emulation/api_lock.h"

#include <condition_variable>
#include <mutex>

namespace winnow::emulation {

namespace {
std::mutex& mutex() {
  static auto& instance = *new std::mutex;
  return instance;
}
std::condition_variable& changed() {
  static auto& instance = *new std::condition_variable;
  return instance;
}
thread_local int depth = 0;
}  // namespace

ApiLock::ApiLock() {
  if (depth++ == 0) mutex().lock();
}
ApiLock::~ApiLock() {
  if (--depth == 0) mutex().unlock();
}

bool wait_for_others(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock<std::mutex> held(mutex(), std::adopt_lock);
  const bool woken = changed().wait_until(held, deadline) == std::cv_status::no_timeout;
  held.release();
  return woken;
}
void wake_waiting() { changed().notify_all(); }

}  // namespace winnow::emulation
