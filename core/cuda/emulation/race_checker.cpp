#include "core/cuda/emulation/race_checker.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>
#include <utility>

#include "core/cuda/emulation/access_hints.h"
#include "core/cuda/emulation/block.h"
#include "core/cuda/emulation/device_memory.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/shared_memory.h"
#include "core/cuda/emulation/source_line.h"
#include "core/cuda/emulation/traffic.h"

namespace winnow::emulation {

namespace {

// Who read a granule since its last barrier, beyond the reader that the cell names.
enum class Readers : std::uint8_t { One, OneWarp, OneBlock, ManyBlocks };

// The last write and the last read of a granule of 2 bytes (1 with Options::byte_granules).
struct Cell {
  std::uint32_t write_launch, write_block, read_launch, read_block;
  std::uint16_t write_thread, read_thread, write_warp_epoch, read_warp_epoch;
  std::uint16_t write_epoch, read_epoch;
  bool write_atomic, initialized;
  Readers readers;
  std::uint8_t unused;
};
static_assert(sizeof(Cell) == 32);

bool enabled = false;
std::array<Cell*, kMaxDevices> device_cells{};
Cell* shared_cells = nullptr;
auto& seen = *new std::set<std::pair<const void*, int>>;
unsigned since_switch = 0;
std::uint64_t launch_accesses = 0;

Cell* lazy_cells(std::size_t bytes) {
  void* memory =
      mmap(nullptr, bytes * sizeof(Cell), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  return static_cast<Cell*>(memory);
}
std::size_t granule(std::size_t offset) { return options().byte_granules ? offset : offset / 2; }

struct Range {
  Cell* cell = nullptr;
  Cell* last = nullptr;
  Cell* begin() const { return cell; }
  Cell* end() const { return last; }
};
Range cells_of(std::uintptr_t address, std::size_t bytes) {
  Cell* base = nullptr;
  std::uintptr_t origin = 0;
  if (const int device = device_of(address); device >= 0) {
    Cell*& cells = device_cells[static_cast<std::size_t>(device)];
    if (!cells) cells = lazy_cells(kDeviceBytes);
    base = cells;
    origin = device_base(device);
  } else if (in_shared_arena(address, bytes)) {
    if (!shared_cells) shared_cells = lazy_cells(kSharedArena);
    base = shared_cells;
    origin = shared_base();
  } else {
    return {};
  }
  return {base + granule(address - origin), base + granule(address - origin + bytes - 1) + 1};
}

const char* name(Access kind) {
  return kind == Access::Read ? "read" : kind == Access::Write ? "write" : "atomic access";
}

// This thread's access, as the cells remember it.
struct Me {
  std::uint32_t launch, block;
  std::uint16_t thread, warp_epoch, epoch;
  Access kind;
  const void* pc;
  bool device;
};

// An earlier access of the same block and barrier epoch is ordered before this one by itself or by a __syncwarp.
bool ordered(const Me& me, std::uint16_t thread, std::uint16_t warp_epoch) {
  return thread == me.thread || (thread / 32 == me.thread / 32 && warp_epoch < me.warp_epoch);
}

void found(const char* kind, const Me& me, int code, const std::string& text) {
  if (!seen.insert({me.pc, code}).second) return;
  report(kind, fmt::format("{}: {} [block {} thread {}]", source_line(me.pc), text, me.block, me.thread));
}

void compare_with_write(const Cell& c, const Me& me) {
  if (c.write_launch != me.launch || (me.kind == Access::Atomic && c.write_atomic)) return;
  if (c.write_block != me.block) {
    if (me.device)
      found("race", me, 2,
            fmt::format("{} conflicts with the write of block {} thread {}", name(me.kind), c.write_block,
                        c.write_thread));
    return;
  }
  if (c.write_epoch == me.epoch && !ordered(me, c.write_thread, c.write_warp_epoch))
    found("race", me, 3, fmt::format("{} with no barrier since the write of thread {}", name(me.kind), c.write_thread));
}

void compare_with_reads(const Cell& c, const Me& me) {
  if (me.kind == Access::Read || c.read_launch != me.launch) return;
  if (me.device && (c.read_block != me.block || c.readers == Readers::ManyBlocks)) {
    found("race", me, 4,
          fmt::format("{} conflicts with the read of block {} thread {}", name(me.kind), c.read_block, c.read_thread));
    return;
  }
  if (c.read_epoch != me.epoch) return;
  const bool same_warp = c.read_thread / 32 == me.thread / 32 && c.read_warp_epoch < me.warp_epoch;
  const bool safe = c.readers == Readers::One       ? ordered(me, c.read_thread, c.read_warp_epoch)
                    : c.readers == Readers::OneWarp ? same_warp
                                                    : false;
  if (!safe)
    found("race", me, 5, fmt::format("{} with no barrier since the read of thread {}", name(me.kind), c.read_thread));
}

void remember_read(Cell& c, const Me& me) {
  if (c.read_launch != me.launch) {
    c.readers = Readers::One;
  } else if (c.read_block != me.block || c.readers == Readers::ManyBlocks) {
    c.readers = Readers::ManyBlocks;
  } else if (c.read_epoch != me.epoch) {
    c.readers = Readers::One;
  } else if (c.read_thread != me.thread) {
    const Readers together = c.read_thread / 32 != me.thread / 32 ? Readers::OneBlock
                             : c.read_warp_epoch < me.warp_epoch  ? Readers::One
                                                                  : Readers::OneWarp;
    c.readers = std::max(c.readers, together);
  }
  c.read_launch = me.launch;
  c.read_block = me.block;
  c.read_thread = me.thread;
  c.read_warp_epoch = me.warp_epoch;
  c.read_epoch = me.epoch;
}
void remember_write(Cell& c, const Me& me) {
  c.write_launch = me.launch;
  c.write_block = me.block;
  c.write_thread = me.thread;
  c.write_warp_epoch = me.warp_epoch;
  c.write_epoch = me.epoch;
  c.write_atomic = me.kind == Access::Atomic;
  c.initialized = true;
}

void check_bounds(std::uintptr_t address, std::size_t bytes, Access kind, const void* pc, bool device) {
  const char* problem = nullptr;
  if (device) {
    switch (check_range(address, bytes)) {
      case Validity::Ok: break;
      case Validity::OutOfBounds: problem = "out-of-bounds"; break;
      case Validity::Freed: problem = "use-after-free"; break;
      case Validity::Pending: problem = "use-before-allocation"; break;
    }
    if (problem)
      fail(problem, "%s: %zu-byte %s at %#lx (%s)", source_line(pc).c_str(), bytes, name(kind), address,
           describe_address(address).c_str());
  } else if (!in_shared_array(address, bytes)) {
    fail("out-of-bounds", "%s: %zu-byte %s of shared memory outside its array", source_line(pc).c_str(), bytes,
         name(kind));
  }
  if ((bytes & (bytes - 1)) == 0 && address % bytes)
    fail("misaligned", "%s: %zu-byte %s at %#lx", source_line(pc).c_str(), bytes, name(kind), address);
}

// Preemption at an access, at intervals that differ from site to site.
void maybe_switch(const void* pc) {
  const unsigned every = options().preempt_every;
  if (every == 0 || ++since_switch < every) return;
  const auto site = reinterpret_cast<std::uintptr_t>(pc);
  since_switch = static_cast<unsigned>(site * 2654435761u >> 7) % (every / 2 + 1);
  yield_thread();
}

}  // namespace

bool instrumented() { return enabled; }
void enable_race_checker() { enabled = true; }
void start_launch_checks() { launch_accesses = 0; }
void forget_findings() { seen.clear(); }

void check_access(std::uintptr_t address, std::size_t bytes, Access kind, const void* pc) {
  const bool device = device_of(address) >= 0;
  if (!current_thread) {
    if (device) fail("host-access", "host code at %s touched device address %#lx", source_line(pc).c_str(), address);
    return;
  }
  if (!device && !in_shared_arena(address, bytes)) return;  // the stack, constants
  ++counters().accesses;
  check_bounds(address, bytes, kind, pc, device);
  if (options().max_accesses && ++launch_accesses > options().max_accesses)
    fail("hang", "%s: more than %llu accesses in one launch", source_line(pc).c_str(),
         static_cast<unsigned long long>(options().max_accesses));
  const Position& at = position();
  const Me me{at.launch,
              at.block,
              static_cast<std::uint16_t>(current_thread->linear),
              static_cast<std::uint16_t>(current_thread->warp_epoch),
              static_cast<std::uint16_t>(at.barrier_epoch),
              kind,
              pc,
              device};
  for (Cell& c : cells_of(address, bytes)) {
    if (kind != Access::Write && !c.initialized)
      found("uninitialized", me, 1, fmt::format("{}-byte {} of memory never written", bytes, name(kind)));
    compare_with_write(c, me);
    if (!(kind == Access::Atomic && c.write_atomic && c.write_launch == me.launch)) compare_with_reads(c, me);
    if (kind != Access::Write && kind != Access::Atomic) remember_read(c, me);
    if (kind != Access::Read) remember_write(c, me);
  }
  if (device) count_traffic(address, bytes, kind);
  if (options().access_hints) count_access(address, bytes, kind, pc, device);
  maybe_switch(pc);
}

void report_misaligned(const char* file, unsigned line, const void* address, unsigned alignment) {
  if (current_thread) fail("misaligned", "%s:%u: address %p needs %u-byte alignment", file, line, address, alignment);
}

void touch(const void* address, std::size_t bytes, Access kind, const void* pc) {
  if (enabled) check_access(reinterpret_cast<std::uintptr_t>(address), bytes, kind, pc);
}

void mark_uninitialized(const void* data, std::size_t bytes) {
  if (!enabled || bytes == 0) return;
  for (Cell& c : cells_of(reinterpret_cast<std::uintptr_t>(data), bytes)) c = Cell{};
}
void mark_written(const void* data, std::size_t bytes) {
  if (!enabled || bytes == 0) return;
  for (Cell& c : cells_of(reinterpret_cast<std::uintptr_t>(data), bytes)) {
    c = Cell{};
    c.initialized = true;
  }
}
void forget_shared_memory(std::size_t used) {
  if (enabled && shared_cells) std::fill(shared_cells, shared_cells + granule(used) + 1, Cell{});
}

}  // namespace winnow::emulation
