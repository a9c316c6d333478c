// A uniform sample of all rows seen so far, in fixed memory (Vitter 1985, "Random sampling with a reservoir", algorithm
// R): the first n rows fill it, row t > n takes the place of one of them with probability n / t.
#pragma once
#include <span>
#include <vector>

#include "train/update/events.h"

namespace winnow {

class Reservoir {
 public:
  // capacity 0: holds nothing. Draws depend on (seed, number of the row or batch) alone.
  Reservoir(int64_t capacity, uint64_t seed) : capacity_(capacity), seed_(seed) {}
  void add(const UpdateRow& row);
  int64_t seen() const { return seen_; }
  int64_t capacity() const { return capacity_; }
  const std::vector<UpdateRow>& rows() const { return rows_; }
  // Appends n of its rows for that batch, with replacement; none when it is empty.
  void draw(int64_t n, int64_t batch, std::vector<UpdateRow>& out) const;
  void restore(std::vector<UpdateRow> rows, int64_t seen);

 private:
  int64_t capacity_;
  uint64_t seed_;
  int64_t seen_ = 0;
  std::vector<UpdateRow> rows_;
};

}  // namespace winnow
