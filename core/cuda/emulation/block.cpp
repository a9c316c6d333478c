#include "core/cuda/emulation/block.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/cuda/emulation/access_hints.h"
#include "core/cuda/emulation/async_copy.h"
#include "core/cuda/emulation/fiber.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/race_checker.h"
#include "core/cuda/emulation/shared_memory.h"
#include "core/cuda/emulation/traffic.h"
#include "core/cuda/emulation/warp.h"

namespace winnow::emulation {

constinit thread_local Thread* current_thread = nullptr;
dim3 grid_dimensions, block_dimensions;

namespace {

Position place;
bool abandoned = false;
const std::function<void()>* body = nullptr;
auto& threads = *new std::vector<Thread>;
auto& order = *new std::vector<unsigned>;     // thread numbers in the order of this block
auto& priority = *new std::vector<unsigned>;  // of each warp; lower goes first

// The threads that can go on: a ring, in which each thread is at most once.
struct RunQueue {
  std::vector<unsigned> ring;
  std::size_t head = 0, size = 0, mask = 0;
  void reset(std::size_t count) {
    ring.resize(std::bit_ceil(count));
    mask = ring.size() - 1;
    head = size = 0;
  }
  unsigned& at(std::size_t k) { return ring[(head + k) & mask]; }
  void push(unsigned thread) { at(size++) = thread; }
  Thread* pop() {
    if (size == 0) return nullptr;
    if (options().threads == ThreadOrder::Random) std::swap(at(random_bits()() % size), at(0));
    if (options().threads == ThreadOrder::WarpPriority) {
      std::size_t best = 0;
      for (std::size_t k = 1; k < size; ++k)
        if (priority[at(k) / 32] < priority[at(best) / 32]) best = k;
      std::swap(at(best), at(0));
    }
    Thread& thread = threads[at(0)];
    head = (head + 1) & mask;
    --size;
    return &thread;
  }
};
auto& runnable = *new RunQueue;

struct Barrier {
  unsigned live = 0, arrived = 0, votes = 0;
  BarrierKind kind = BarrierKind::Plain;
  Site at;
  int result = 0;
};
Barrier barrier;

int barrier_result() {
  switch (barrier.kind) {
    case BarrierKind::Count: return static_cast<int>(barrier.votes);
    case BarrierKind::And: return barrier.votes == barrier.arrived;
    case BarrierKind::Or: return barrier.votes > 0;
    case BarrierKind::Plain: break;
  }
  return 0;
}
void release_barrier() {
  barrier.result = barrier_result();
  barrier.arrived = barrier.votes = 0;
  ++place.barrier_epoch;
  ++counters().barriers;
  for (unsigned i : order)
    if (threads[i].state == Thread::State::AtBarrier) make_runnable(threads[i]);
}

void thread_entry();

// Leaves the current stack for the next runnable thread, or for the host when there is none.
void run_next() {
  Thread* next = runnable.pop();
  current_thread = next;
  if (!next) {
    switch_to(&host_fiber);
    return;
  }
  if (next->state == Thread::State::New) next->fiber = take_fiber(next, thread_entry);
  next->state = Thread::State::Ready;
  if (next->fiber != current_fiber) switch_to(next->fiber);  // a random order may pick the yielding thread itself
}

void finish_thread(Thread& thread) {
  thread.state = Thread::State::Done;
  --barrier.live;
  ++counters().threads;
  leave_warp(thread);
  if (barrier.arrived > 0)
    fail("barrier-divergence", "thread %u exited while %u thread(s) wait in __syncthreads at %s:%d", thread.linear,
         barrier.arrived, barrier.at.file, barrier.at.line);
}

void thread_entry() {
  finish_first_switch();
  for (;;) {
    (*body)();
    finish_thread(*current_thread);
    Thread* next = runnable.pop();
    current_thread = next;
    if (next && next->state == Thread::State::New) {  // on this very stack, without a switch
      next->state = Thread::State::Ready;
      next->fiber = current_fiber;
      current_fiber->thread = next;
      continue;
    }
    return_fiber(current_fiber);
    if (next) next->state = Thread::State::Ready;
    switch_to(next ? next->fiber : &host_fiber, true);
    std::abort();  // a pooled fiber starts again at its entry
  }
}

void make_threads(uint3 block) {
  const unsigned count = block_dimensions.x * block_dimensions.y * block_dimensions.z;
  threads.resize(count);
  order.resize(count);
  uint3 index{0, 0, 0};
  for (unsigned i = 0; i < count; ++i) {
    threads[i] = Thread{};
    threads[i].index = index;
    threads[i].block = block;
    threads[i].linear = i;
    threads[i].lane = i % 32;
    threads[i].warp = i / 32;
    order[i] = options().threads == ThreadOrder::Reverse ? count - 1 - i : i;
    if (++index.x < block_dimensions.x) continue;
    index.x = 0;
    if (++index.y < block_dimensions.y) continue;
    index.y = 0;
    ++index.z;
  }
  if (options().threads == ThreadOrder::Random) std::shuffle(order.begin(), order.end(), random_bits());
  priority.resize((count + 31) / 32);
  for (unsigned w = 0; w < priority.size(); ++w) priority[w] = w;
  if (options().threads == ThreadOrder::WarpPriority) std::shuffle(priority.begin(), priority.end(), random_bits());
}

void report_deadlock() {
  std::string text = "no runnable thread:";
  int shown = 0;
  for (const Thread& t : threads)
    if (t.state != Thread::State::Done && shown++ < 4)
      text +=
          fmt::format(" thread {} waits at {}:{}", t.linear, t.waits_at.file ? t.waits_at.file : "?", t.waits_at.line);
  report("deadlock", text);
}

void run_block(uint3 block, std::size_t dynamic_shared) {
  reset_shared_memory(dynamic_shared);
  reset_async_copies();
  make_threads(block);
  reset_warps(threads.size());
  runnable.reset(threads.size());
  for (unsigned i : order) runnable.push(i);
  barrier = Barrier{};
  barrier.live = static_cast<unsigned>(threads.size());
  place.barrier_epoch = 0;
  run_next();  // back here when no thread is runnable
  current_thread = nullptr;
  if (!abandoned && barrier.live > 0) {
    report_deadlock();
    abandoned = true;
  }
  if (abandoned) return_all_fibers();
  finish_block_hints();
}

}  // namespace

bool run_launch(const Launch& launch) {
  grid_dimensions = launch.grid;
  block_dimensions = launch.block;
  body = launch.body;
  abandoned = false;
  ++place.launch;
  ++counters().launches;
  start_launch_checks();
  start_launch_traffic(launch.kernel, launch.block.x * launch.block.y * launch.block.z, launch.dynamic_shared);
  const dim3 grid = launch.grid;
  const std::size_t blocks = std::size_t{grid.x} * grid.y * grid.z;
  for (std::size_t k = 0; k < blocks && !abandoned; ++k) {
    const std::size_t i = options().threads == ThreadOrder::Forward ? k : blocks - 1 - k;
    place.block = static_cast<unsigned>(i);
    run_block({static_cast<unsigned>(i % grid.x), static_cast<unsigned>(i / grid.x % grid.y),
               static_cast<unsigned>(i / grid.x / grid.y)},
              launch.dynamic_shared);
  }
  finish_launch_traffic();
  return !abandoned;
}

const Position& position() { return place; }

std::mt19937_64& random_bits() {
  static std::mt19937_64 generator(options().seed);
  return generator;
}
std::vector<Thread>& block_threads() { return threads; }

void make_runnable(Thread& thread) {
  thread.state = Thread::State::Ready;
  runnable.push(thread.linear);
}
void block_current_thread(Thread::State state, Site at) {
  current_thread->state = state;
  current_thread->waits_at = at;
  run_next();
}
void yield_thread() {
  if (!current_thread || runnable.size == 0) return;
  runnable.push(current_thread->linear);
  run_next();
}

bool Site::operator==(const Site& other) const {
  return line == other.line && (file == other.file || std::strcmp(file, other.file) == 0);
}

namespace {
bool dropped(Site at) {
  if (!options().drop_file || options().drop_line != at.line) return false;
  if (!std::string_view(at.file).ends_with(options().drop_file)) return false;
  ++counters().dropped;
  return true;
}
}  // namespace

int block_barrier(int predicate, BarrierKind kind, Site at) {
  if (dropped(at)) return 0;
  if (barrier.arrived == 0) {
    barrier.at = at;
    barrier.kind = kind;
  } else if (barrier.kind != kind || !(barrier.at == at)) {
    fail("barrier-divergence", "thread %u is in __syncthreads at %s:%d, others at %s:%d", current_thread->linear,
         at.file, at.line, barrier.at.file, barrier.at.line);
  }
  barrier.votes += predicate != 0;
  if (++barrier.arrived == barrier.live) {
    release_barrier();
    yield_thread();  // the others go on in the chosen order, not this one first
  } else {
    block_current_thread(Thread::State::AtBarrier, at);
  }
  return barrier.result;
}

void warp_collective(const char* name, unsigned mask, void* slot, Combine combine, bool orders_memory, Site at) {
  if (orders_memory && dropped(at)) return;
  join_collective(name, mask, slot, combine, orders_memory, at);
}

void abandon_launch() {
  abandoned = true;
  current_thread = nullptr;
  switch_to(&host_fiber);
  std::abort();
}

void fail(const char* kind, const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): a false positive
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (!current_thread) {
    options().print = true;
    report(kind, text);
    std::fprintf(stderr, "[emulation] host code touched device memory: the process ends with code %d\n",
                 kHostAccessExit);
    _exit(kHostAccessExit);
  }
  const Thread& t = *current_thread;
  report(kind, fmt::format("{} [block {},{},{} thread {},{},{}]", text, t.block.x, t.block.y, t.block.z, t.index.x,
                           t.index.y, t.index.z));
  abandon_launch();
  std::abort();
}

}  // namespace winnow::emulation
