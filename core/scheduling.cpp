#include "core/scheduling.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <exception>
#include <thread>

namespace winnow {
namespace {

// struct sched_attr of linux/sched/types.h in its first version, which glibc does not declare.
struct Attributes {
  uint32_t size = sizeof(Attributes);
  uint32_t policy = SCHED_OTHER;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime = 0, deadline = 0, period = 0;
};
static_assert(sizeof(Attributes) == 48);

}  // namespace

void prefer_short_slices() {
  Attributes now;
  if (::syscall(SYS_sched_getattr, 0, &now, sizeof now, 0) != 0 || now.policy != SCHED_OTHER) return;
  now.size = sizeof now;
  now.runtime = 100'000;  // ns, the least there is
  ::syscall(SYS_sched_setattr, 0, &now, 0);
}

void run_when_idle(const std::function<void()>& f) {
  std::exception_ptr failure;
  std::thread([&] {
    const sched_param none{};
    ::sched_setscheduler(0, SCHED_IDLE, &none);
    try {
      f();
    } catch (...) { failure = std::current_exception(); }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace winnow
