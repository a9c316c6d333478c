#include "nn/cache_slots.h"

#include <algorithm>
#include <memory>

#include "core/parallel.h"

namespace winnow {
namespace {

constexpr int64_t kSample = 4096, kShare = 32;  // slots that are asked for the limit; of the cache, listed at once
constexpr int64_t kBlock = 1 << 15;             // slots
constexpr int kSlotBits = 31;

}  // namespace

CacheSlots::CacheSlots(int64_t rows, int64_t slots, CachePolicy policy) : size_(slots), policy_(policy) {
  constexpr int64_t kMost = (int64_t{1} << kSlotBits) - 1;
  WN_CHECK(slots >= 1 && slots <= kMost, ConfigError, "a cache of {} rows; 1 to {} are supported", slots, kMost);
  memory_of_slot_of_row_ = Tensor({DType::I32, {rows}});
  memory_of_uses_ = Tensor({DType::I64, {size_ + 1}});
  memory_of_rows_ = Tensor(memory_of_uses_.spec());
  slot_of_row_ = memory_of_slot_of_row_.data<int32_t>();
  uses_ = static_cast<Use*>(memory_of_uses_.raw());
  rows_ = memory_of_rows_.data<int64_t>();
  next_.reserve(static_cast<size_t>(std::min(size_, size_ / kShare * 2 + kSample)));
  sample_.reserve(static_cast<size_t>(std::min(size_, 2 * kSample)));
  counts_.resize(static_cast<size_t>((size_ + kBlock - 1) / kBlock) + 1);
  clear();
}

void CacheSlots::clear() {
  std::fill_n(slot_of_row_, memory_of_slot_of_row_.numel(), 0);
  std::uninitialized_fill_n(uses_, size_ + 1, Use{});
  std::fill_n(rows_, size_ + 1, -1);
  next_.clear();
  at_ = 0;
  used_ = 0;
}

void CacheSlots::mark_unchanged() {
  for (int64_t s = 1; s <= used_; ++s)
    if (age(uses_[s]) > 0) uses_[s].changed = false;
}

// The order in which rows give way.
uint64_t CacheSlots::rank(const Use& use) const {
  const uint64_t count = policy_ == CachePolicy::Lfu ? use.count : 0;
  return count * (kMostAge + 1) + kMostAge - std::min<uint64_t>(age(use), kMostAge);
}

// Rows, hence slots, are distinct: any thread may mark its own.
void CacheSlots::look_up(std::span<const int64_t> rows, bool changes, std::span<int64_t> slots) {
  constexpr size_t kAhead = 32;
  parallel_for(static_cast<int64_t>(rows.size()), 2048, [&](int64_t begin, int64_t end) {
    const auto first = static_cast<size_t>(begin), last = static_cast<size_t>(end);
    for (size_t i = first; i < last; ++i) {
      if (i + kAhead < last) __builtin_prefetch(slot_of_row_ + rows[i + kAhead]);
      slots[i] = slot_of_row_[rows[i]];
    }
    for (size_t i = first; i < last; ++i) {
      if (i + kAhead < last) __builtin_prefetch(&uses_[slots[i + kAhead]], 1);
      if (slots[i] == 0) continue;
      Use& u = uses_[slots[i]];
      u.batch = batch_;
      if (u.count < 255) ++u.count;
      u.changed |= changes;
    }
  });
}

void CacheSlots::place(std::span<const int64_t> rows, bool changes, std::span<int64_t> slots,
                       std::vector<Move>& moves) {
  ++batch_;
  moves.clear();
  look_up(rows, changes, slots);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (slots[i] != 0) continue;
    const int32_t slot = used_ < size_ ? static_cast<int32_t>(++used_) : give_way();
    int64_t& held = rows_[slot];
    moves.push_back({rows[i], held, slot, changed(slot)});
    if (held >= 0) slot_of_row_[held] = 0;
    held = rows[i];
    slot_of_row_[held] = slot;
    slots[i] = slot;
    uses_[slot] = {batch_, 1, changes};
  }
}

int32_t CacheSlots::give_way() {
  constexpr size_t kAhead = 8;
  constexpr uint64_t kSlot = (uint64_t{1} << kSlotBits) - 1;
  for (;; ++at_) {
    if (at_ == next_.size()) list_next();
    if (at_ + 2 * kAhead < next_.size()) {
      const uint64_t later = next_[at_ + 2 * kAhead] & kSlot, soon = next_[at_ + kAhead] & kSlot;
      __builtin_prefetch(&uses_[later], 1);
      __builtin_prefetch(&rows_[later], 1);
      __builtin_prefetch(slot_of_row_ + rows_[soon], 1);
    }
    const auto slot = static_cast<int32_t>(next_[at_] & kSlot);
    if (age(uses_[slot]) <= batch_ - listed_) continue;  // used since
    ++at_;
    return slot;
  }
}

// The rank up to which slots are listed: about a 32nd of them, by every so manieth.
uint64_t CacheSlots::limit_of_next() const {
  sample_.clear();
  for (int64_t s = 1; s <= size_; s += std::max<int64_t>(1, size_ / kSample)) {
    const Use& u = uses_[s];
    if (age(u) > 0) sample_.push_back(rank(u));
  }
  if (sample_.empty()) return ~uint64_t{0};
  const auto at = sample_.begin() + (std::ssize(sample_) - 1) / kShare;
  std::ranges::nth_element(sample_, at);
  return *at;
}

void CacheSlots::list_next() {
  const uint64_t limit = limit_of_next();
  const auto over_block = [&](size_t block, auto&& f) {
    const int64_t begin = static_cast<int64_t>(block) * kBlock + 1, end = std::min(begin + kBlock, size_ + 1);
    for (int64_t s = begin; s < end; ++s) {
      const uint64_t r = rank(uses_[s]);
      if (age(uses_[s]) > 0 && r <= limit) f(r << kSlotBits | static_cast<uint64_t>(s));
    }
  };
  const auto blocks = static_cast<int64_t>(counts_.size()) - 1;
  parallel_tasks(blocks, [&](int64_t block) {
    size_t count = 0;
    over_block(static_cast<size_t>(block), [&](uint64_t) { ++count; });
    counts_[static_cast<size_t>(block) + 1] = count;
  });
  for (size_t block = 1; block < counts_.size(); ++block) counts_[block] += counts_[block - 1];
  WN_CHECK(counts_.back() > 0, Error, "a batch uses more rows than a cache of {} has", size_);
  next_.resize(counts_.back());
  parallel_tasks(blocks, [&](int64_t block) {
    uint64_t* to = next_.data() + counts_[static_cast<size_t>(block)];
    over_block(static_cast<size_t>(block), [&](uint64_t entry) { *to++ = entry; });
  });
  std::ranges::sort(next_);
  at_ = 0;
  listed_ = batch_;
}

}  // namespace winnow
