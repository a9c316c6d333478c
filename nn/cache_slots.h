// Which rows of a table lie in a cache of fixed size, where, and which of them give way.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace winnow {

// The row that gives way: Lru, the one whose last use is longest ago; Lfu, the one that was used in the fewest batches
// since it came in, counted up to 255, and of equal ones that of the oldest use. Of those of the same batch, that of
// the lower slot. The rows that are next are found for some time ahead, about a 32nd of the cache at once, and those of
// them that a batch uses stay: which changes nothing for Lru, while Lfu spares rows that came in meanwhile.
enum class CachePolicy : uint8_t { Lru, Lfu };

class CacheSlots {
 public:
  // A row that comes into a slot. evicted: the row whose place it takes, -1 where the slot was empty; changed: that
  // row's values differ from those outside the cache.
  struct Move {
    int64_t row, evicted;
    int32_t slot;
    bool changed;
  };
  // Of a table of `rows` rows. ConfigError: fewer than one slot, or 2^31 and more.
  CacheSlots(int64_t rows, int64_t slots, CachePolicy policy);
  CacheSlots(const CacheSlots&) = delete;
  CacheSlots& operator=(const CacheSlots&) = delete;

  // A batch uses `rows`, distinct ones and no more than there are slots: slots[i], 1 to size(), becomes that of
  // rows[i]. Those that were in none are listed in moves; they take empty slots first, then those of rows that the
  // batch does not use. changes: the batch writes to its rows. Time: O(rows) and, where rows give way, 32 steps a row
  // over the slots in sequence; on all threads, with the same result for any number of them.
  void place(std::span<const int64_t> rows, bool changes, std::span<int64_t> slots, std::vector<Move>& moves);
  int64_t size() const { return size_; }
  int64_t used() const { return used_; }                   // slots 1 .. used() hold rows
  int64_t row(int64_t slot) const { return rows_[slot]; }  // -1: empty
  bool changed(int64_t slot) const { return uses_[slot].changed; }
  // All but the last batch's rows, which may yet be written to.
  void mark_unchanged();
  void clear();  // every slot is empty; what was changed is forgotten

 private:
  static constexpr uint64_t kMostAge = (1 << 25) - 1;
  struct Use {
    uint32_t batch = 0;  // of the last one, modulo 2^32
    uint8_t count = 0;   // in batches, since the row came in
    bool changed = false;
  };
  static_assert(sizeof(Use) == sizeof(int64_t));
  uint32_t age(const Use& use) const { return batch_ - use.batch; }  // batches since
  // The order in which rows give way.
  uint64_t rank(const Use& use) const {
    const uint64_t count = policy_ == CachePolicy::Lfu ? use.count : 0;
    return count * (kMostAge + 1) + kMostAge - std::min<uint64_t>(age(use), kMostAge);
  }
  void look_up(std::span<const int64_t> rows, bool changes, std::span<int64_t> slots);
  void list_next();
  uint64_t limit_of_next() const;
  int32_t give_way();

  int64_t size_, used_ = 0;
  uint32_t batch_ = 0;
  CachePolicy policy_;
  Tensor memory_of_slot_of_row_, memory_of_uses_, memory_of_rows_;  // of huge pages
  int32_t* slot_of_row_;                                            // 0: in none
  Use* uses_;                                                       // of slots, 1 .. size_
  int64_t* rows_;

  std::vector<uint64_t> next_;  // rank and slot of those that give way next, ascending
  size_t at_ = 0;               // the first that has not yet
  uint32_t listed_ = 0;         // the batch in which they were found
  mutable std::vector<uint64_t> sample_;
  std::vector<size_t> counts_;
};

}  // namespace winnow
