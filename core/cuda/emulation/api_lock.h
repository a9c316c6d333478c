// One lock around every call of the emulated libraries: streams, memory and the one running kernel are behind it.
#pragma once
#include <chrono>

namespace winnow::emulation {

// Re-entrant; held for the scope.
class ApiLock {
 public:
  ApiLock();
  ~ApiLock();
  ApiLock(const ApiLock&) = delete;
  ApiLock& operator=(const ApiLock&) = delete;
};

// Lets other host threads in until one of them calls wake_waiting() or the deadline passes (false). The caller holds
// the lock, at any depth, and has closed the device's memory (AccessScope).
bool wait_for_others(std::chrono::steady_clock::time_point deadline);
void wake_waiting();

}  // namespace winnow::emulation
