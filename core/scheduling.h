// How Linux schedules the calling thread beside the others. Hints: where the kernel does not take one, nothing changes.
#pragma once
#include <functional>

namespace winnow {

// For threads that run briefly and often (what waits for them is a client): slices of a tenth of a millisecond instead
// of some three, by which EEVDF lets them run as soon as they wake, for no larger share of the CPU (Linux 6.12 and
// later; Stoica and Abdel-Wahab 1995). Called by the thread itself.
void prefer_short_slices();

// For work that nobody waits for: f() on a thread of its own that runs where a core would idle (SCHED_IDLE) and gives
// way at once; returns, or throws, as it does. f must hold no lock on which others spin (std::atomic<shared_ptr> is
// one): they could keep it from ever letting go.
void run_when_idle(const std::function<void()>& f);

}  // namespace winnow
