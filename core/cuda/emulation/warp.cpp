#include "core/cuda/emulation/warp.h"

#include <cstring>
#include <vector>

#include "core/cuda/emulation/block.h"
#include "core/cuda/emulation/options.h"

namespace winnow::emulation {

namespace {

// One operation that some lanes have entered. Disjoint masks may be pending at once.
struct Pending {
  unsigned mask = 0, arrived = 0;
  void* slots[32];
  const char* name = nullptr;
  Site at;
  Combine combine = nullptr;
  bool orders_memory = false;
};
struct Warp {
  std::vector<Pending> pending;
  unsigned existing = 0, live = 0;
};
auto& warps = *new std::vector<Warp>;

// The pending operation of exactly these lanes, or a free entry; lanes that wait elsewhere are an error.
Pending& find_pending(Warp& warp, const char* name, unsigned mask, Site at) {
  Pending* free_entry = nullptr;
  for (Pending& p : warp.pending) {
    if (p.arrived == 0) {
      if (!free_entry) free_entry = &p;
    } else if (p.mask == mask) {
      return p;
    } else if (p.mask & mask) {
      fail("warp-divergence", "%s at %s:%d (mask %08x) overlaps pending %s at %s:%d (mask %08x)", name, at.file,
           at.line, mask, p.name, p.at.file, p.at.line, p.mask);
    }
  }
  if (free_entry) return *free_entry;
  return warp.pending.emplace_back();
}

void complete(Pending& p, const Thread& last) {
  p.combine(p.slots, p.mask);
  ++counters().collectives;
  p.arrived = 0;
  for (unsigned rest = p.mask; rest; rest &= rest - 1) {
    Thread& lane = block_threads()[last.warp * 32 + static_cast<unsigned>(__builtin_ctz(rest))];
    if (p.orders_memory) ++lane.warp_epoch;
    if (lane.linear != last.linear) make_runnable(lane);
  }
}

}  // namespace

void reset_warps(std::size_t threads) {
  warps.resize((threads + 31) / 32);
  for (Warp& w : warps) {
    w.pending.clear();
    w.existing = ~0u;
  }
  if (threads % 32) warps.back().existing = (1u << threads % 32) - 1;
  for (Warp& w : warps) w.live = w.existing;
}

void leave_warp(const Thread& thread) {
  Warp& warp = warps[thread.warp];
  const unsigned bit = 1u << thread.lane;
  warp.live &= ~bit;
  for (const Pending& p : warp.pending)
    if (p.arrived && (p.mask & bit))
      fail("warp-divergence", "lane %u exited while %s at %s:%d waits for mask %08x", thread.lane, p.name, p.at.file,
           p.at.line, p.mask);
}

void join_collective(const char* name, unsigned mask, void* slot, Combine combine, bool orders_memory, Site at) {
  const Thread& me = *current_thread;
  Warp& warp = warps[me.warp];
  const unsigned bit = 1u << me.lane;
  if (!(mask & bit))
    fail("bad-mask", "lane %u calls %s with mask %08x, which leaves it out (%s:%d)", me.lane, name, mask, at.file,
         at.line);
  const unsigned wanted = mask & warp.existing;  // lanes beyond the block's size are ignored, exited ones are not
  if (wanted & ~warp.live)
    fail("warp-divergence", "%s at %s:%d names exited lanes %08x", name, at.file, at.line, wanted & ~warp.live);
  Pending& p = find_pending(warp, name, wanted, at);
  if (p.arrived == 0) {
    p.mask = wanted;
    p.name = name;
    p.at = at;
    p.combine = combine;
    p.orders_memory = orders_memory;
    std::memset(p.slots, 0, sizeof p.slots);
  } else if (p.combine != combine || !(p.at == at) || std::strcmp(p.name, name) != 0) {
    fail("warp-divergence", "lane %u is at %s %s:%d, others at %s %s:%d", me.lane, name, at.file, at.line, p.name,
         p.at.file, p.at.line);
  }
  p.arrived |= bit;
  p.slots[me.lane] = slot;
  if (p.arrived == wanted)
    complete(p, me);
  else
    block_current_thread(Thread::State::InCollective, at);
}

}  // namespace winnow::emulation
