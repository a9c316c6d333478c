// Rows put together from two: the item features of one, all others of another.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"
#include "data/dataset.h"

namespace winnow {

// Rows of a data set in memory.
struct RowPair {
  int32_t row = 0, item_row = 0;  // user and context features from `row`
  float label = 0, weight = 1;
};

class PairFiller {
 public:
  explicit PairFiller(const Dataset& dataset);
  // Fills the tensors of a batch of batch_size rows (BatchSpec) with the pairs, and the padding.
  void fill(std::span<const RowPair> pairs, int64_t batch_size, std::span<const Tensor> tensors) const;

 private:
  const Dataset& dataset_;
  std::vector<bool> item_field_, item_number_;  // of each field, of each float
};

}  // namespace winnow
