// The distinct rows that a batch reads of a table, in ascending order, and the place of each among them.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace winnow {

// A bitmap of the table's rows with a count beside every 32 of them: the order of rows comes from the bitmap, so that
// nothing is sorted, and the place of a row is the count of those before it. Memory: 1/4 byte a row of the table.
class RowPlaces {
 public:
  explicit RowPlaces(int64_t rows);  // of the table
  // rows: those of a batch's ids, -1 for what is missing. Each becomes its row's place among the distinct rows, which
  // are returned in ascending order: 1, 2, ..; 0 for what is missing. What is returned stays until the next call.
  // Time: O(ids) and a byte for every 256 rows of the table, on all threads; the result does not depend on their
  // number.
  std::span<const int64_t> name(std::span<int64_t> rows);

 private:
  void mark(std::span<const int64_t> rows);
  void number();

  Tensor words_;    // u64 for 32 rows: their bits, and above them how many rows of the batch come before
  Tensor touched_;  // a byte for 8 words: whether one is not 0
  std::vector<int64_t> counts_;
  std::vector<int64_t> distinct_;
};

}  // namespace winnow
