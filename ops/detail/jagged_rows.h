// Which rows a bag has, and which bag a row has. Offsets are data: nothing here trusts them (ops/jagged.h).
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/math.h"  // WN_HD

namespace winnow::detail {

struct RowRange {
  int64_t begin, end;
};
WN_HD RowRange rows_of_bag(const int64_t* offsets, int64_t bag, int64_t capacity) {
  const int64_t begin = std::clamp<int64_t>(offsets[bag], 0, capacity);
  return {begin, std::clamp<int64_t>(offsets[bag + 1], begin, capacity)};
}

// Walks rows in ascending order and says the bag of each: each row belongs to at most one, whatever the offsets hold,
// so that threads which write rows never meet.
class BagOfRow {
 public:
  WN_HD BagOfRow(const int64_t* offsets, int64_t bags, int64_t first_row)
      : offsets_(offsets), bags_(bags), bag_(starts_up_to(offsets, bags + 1, first_row) - 1) {}
  // Moves to `row`; false when it is dead.
  WN_HD bool at(int64_t row) {
    while (bag_ < bags_ && row >= offsets_[bag_ + 1]) ++bag_;
    return bag_ >= 0 && bag_ < bags_;
  }
  WN_HD int64_t bag() const { return bag_; }
  WN_HD int64_t begin() const { return std::max<int64_t>(0, offsets_[bag_]); }

 private:
  // How many of ascending offsets are at most `row`.
  WN_HD static int64_t starts_up_to(const int64_t* offsets, int64_t count, int64_t row) {
    int64_t first = 0;
    for (int64_t left = count; left > 0;) {
      const int64_t half = left / 2;
      const bool at_most = offsets[first + half] <= row;
      first = at_most ? first + half + 1 : first;
      left = at_most ? left - half - 1 : half;
    }
    return first;
  }

  const int64_t* offsets_;
  int64_t bags_, bag_;
};

}  // namespace winnow::detail
