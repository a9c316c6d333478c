// What a test chooses about the emulated machine, and what the machine found. The emulation stands in for hardware and
// a driver, of which a process has one: its state is the process's. Set options while no work is queued.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace winnow::emulation {

// Which runnable thread of a block goes next. WarpPriority: each warp gets a random priority and runs as far as it can
// (S. Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding bugs", 2010).
enum class ThreadOrder { Forward, Reverse, Random, WarpPriority };
// When queued work runs. Lazy: when something waits for it; Eager: at once; Random: anywhere between.
enum class StreamMode { Lazy, Eager, Random };
// What cudaGetDeviceCount says. A machine without a driver, or with one that is older than the runtime, answers 35
// (cudaErrorInsufficientDriver), one without a device 100 (cudaErrorNoDevice); neither writes the count.
enum class Driver { Present, Insufficient, Old, NoDevice };

struct Options {
  ThreadOrder threads = ThreadOrder::Forward;
  StreamMode streams = StreamMode::Lazy;
  std::uint64_t seed = 1;
  int devices = 1;  // at most kMaxDevices
  Driver driver = Driver::Present;
  bool page_guards = true;          // false: one system call for all blocks, for long runs with many of them
  bool print = true;                // each new report to stderr as well
  const char* drop_file = nullptr;  // mutation: the barrier on drop_file:drop_line (a suffix of its path) is ignored
  int drop_line = 0;
  bool drop_event_waits = false;    // mutation: waiting for an event does nothing outside captures
  std::size_t fail_allocation = 0;  // the k-th allocation from now on fails, counting from 1
  unsigned preempt_every = 0;       // instrumented kernels: another thread goes on after about that many accesses
  std::uint64_t max_accesses = 0;   // instrumented kernels: a launch with more is stopped as hung; 0: no limit
  bool byte_granules = false;       // race checker: one cell a byte; kernels on 8-bit elements (set before any memory)
  bool access_hints = false;        // count sectors and bank conflicts (access_hints.h)
  bool traffic = false;             // count the bytes that each kernel moves (traffic.h)
  int collective_timeout_ms = 10000;
};
Options& options();

struct Report {
  std::string kind, text;  // "race", "kernels.cu:12: no barrier since ..."
  unsigned count = 1;
};
std::vector<Report> reports();
bool reported(const std::string& kind);
void report(const std::string& kind, const std::string& text);  // one entry a (kind, text)
void clear_reports();

struct Counters {
  std::uint64_t launches = 0, threads = 0, switches = 0, barriers = 0, collectives = 0, accesses = 0, allocations = 0;
  std::uint64_t dropped = 0;  // barriers and waits that a mutation ignored
};
Counters& counters();

// Forgets errors, reports, queued work and shadow state; memory, streams and events stay.
void reset();

}  // namespace winnow::emulation
