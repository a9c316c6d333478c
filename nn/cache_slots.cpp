#include "nn/cache_slots.h"

#include <algorithm>

#include "core/error.h"

namespace winnow {

CacheSlots::CacheSlots(int64_t rows, int64_t slots, CachePolicy policy) : size_(slots), policy_(policy) {
  WN_CHECK(slots >= 1 && slots < 0x7fffffff - 2 * kMostUses, ConfigError, "a cache of {} rows; 1 to {} are supported",
           slots, 0x7fffffff - 2 * kMostUses - 1);
  slot_of_row_.resize(static_cast<size_t>(rows));
  slots_.resize(static_cast<size_t>(size_ + kMostUses + 1));
  clear();
}

void CacheSlots::clear() {
  std::ranges::fill(slot_of_row_, 0);
  std::ranges::fill(slots_, Slot{});
  for (int32_t uses = 1; uses <= kMostUses; ++uses) at(list_of(uses)).newer = at(list_of(uses)).older = list_of(uses);
  used_ = 0;
}

void CacheSlots::mark_unchanged() {
  for (int64_t s = 1; s <= used_; ++s) at(s).changed = false;
}

void CacheSlots::unlink(int32_t slot) {
  at(at(slot).newer).older = at(slot).older;
  at(at(slot).older).newer = at(slot).newer;
}

// To the newest end of the list; of a ring, the end's `older` is the newest and its `newer` the oldest.
void CacheSlots::use(int32_t slot, int32_t uses, bool changes) {
  const int32_t end = list_of(uses);
  Slot& s = at(slot);
  s.batch = batch_;
  s.uses = uses;
  s.changed |= changes;
  s.newer = end;
  s.older = at(end).older;
  at(s.older).newer = slot;
  at(end).older = slot;
}

// Of the rows that this batch does not use. Those that it does are the newest of their lists: where the oldest is one
// of them, so are all.
int32_t CacheSlots::oldest(int32_t& uses) const {
  for (; uses <= kMostUses; ++uses) {
    const int32_t slot = at(list_of(uses)).newer;
    if (slot != list_of(uses) && at(slot).batch != batch_) return slot;
  }
  raise<Error>("a batch uses more rows than a cache of {} has", size_);
}

void CacheSlots::place(std::span<const int64_t> rows, bool changes, std::span<int64_t> slots,
                       std::vector<Move>& moves) {
  ++batch_;
  moves.clear();
  for (size_t i = 0; i < rows.size(); ++i) {
    const int32_t slot = slot_of_row_[static_cast<size_t>(rows[i])];
    slots[i] = slot;
    if (slot == 0) continue;
    unlink(slot);
    use(slot, policy_ == CachePolicy::Lfu ? std::min(at(slot).uses + 1, kMostUses) : 1, changes);
  }
  int32_t uses = 1;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (slots[i] != 0) continue;
    const bool full = used_ == size_;
    const int32_t slot = full ? oldest(uses) : static_cast<int32_t>(++used_);
    Slot& s = at(slot);
    moves.push_back({rows[i], s.row, slot, s.changed});
    if (full) {
      unlink(slot);
      slot_of_row_[static_cast<size_t>(s.row)] = 0;
    }
    s.row = rows[i];
    s.changed = false;
    slot_of_row_[static_cast<size_t>(rows[i])] = slot;
    slots[i] = slot;
    use(slot, 1, changes);
  }
}

}  // namespace winnow
