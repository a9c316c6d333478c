// Which rows of a table lie in a cache of fixed size, where, and which of them give way.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace winnow {

// The row that gives way: Lru, the one whose last use is longest ago; Lfu, the one that was used in the fewest batches
// since it came in, counted up to 255, and of equal ones that of the oldest use.
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
  // Of a table of `rows` rows. ConfigError: fewer than one slot, or 2^31 - 512 and more.
  CacheSlots(int64_t rows, int64_t slots, CachePolicy policy);

  // A batch uses `rows`, distinct ones and no more than there are slots: slots[i], 1 to size(), becomes that of
  // rows[i]. Those that were in none are listed in moves; they take empty slots first, then those of rows that the
  // batch does not use. changes: the batch writes to its rows. Time: O(rows), whatever the number of slots.
  void place(std::span<const int64_t> rows, bool changes, std::span<int64_t> slots, std::vector<Move>& moves);
  int64_t size() const { return size_; }
  int64_t used() const { return used_; }                         // slots 1 .. used() hold rows
  int64_t row(int64_t slot) const { return at(slot).row; }       // -1: empty
  bool changed(int64_t slot) const { return at(slot).changed; }  // since it came in or mark_unchanged()
  void mark_unchanged();
  void clear();  // every slot is empty; what was changed is forgotten

 private:
  static constexpr int32_t kMostUses = 255;
  struct Slot {
    int64_t row = -1, batch = 0;   // batch: of its last use
    int32_t newer = 0, older = 0;  // neighbours in the list of its number of uses
    int32_t uses = 0;
    bool changed = false;
  };
  const Slot& at(int64_t slot) const { return slots_[static_cast<size_t>(slot)]; }
  Slot& at(int64_t slot) { return slots_[static_cast<size_t>(slot)]; }
  int32_t list_of(int32_t uses) const { return static_cast<int32_t>(size_) + uses; }
  void unlink(int32_t slot);
  void use(int32_t slot, int32_t uses, bool changes);
  int32_t oldest(int32_t& uses) const;

  int64_t size_, used_ = 0, batch_ = 0;
  CachePolicy policy_;
  std::vector<int32_t> slot_of_row_;  // 0: in none
  std::vector<Slot> slots_;           // 1 .. size_; behind them the ends of the lists, which are rings, by uses
};

}  // namespace winnow
