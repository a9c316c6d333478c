// The tensors of a batch of rows that the catalogue knows.
#pragma once
#include <span>
#include <vector>

#include "data/batches.h"
#include "train/update/update_options.h"

namespace winnow {

class UpdateBatch {
 public:
  UpdateBatch(const FeatureMap& map, int64_t rows, JoinRow join);
  const BatchSpec& spec() const { return spec_; }
  std::span<const Tensor> feeds() const { return feeds_; }
  // The rows of `first`, then those of `then`, weight 1; the rest is padding. No allocation after the first calls.
  // ShapeError: more than fit.
  void fill(std::span<const UpdateRow> first, std::span<const UpdateRow> then = {});

 private:
  void add(const UpdateRow& row);
  int64_t fields_, width_;
  JoinRow join_;
  BatchSpec spec_;
  std::vector<Tensor> feeds_;
  std::span<int64_t> ids_, offsets_;
  std::span<float> dense_, label_, weight_;
  EncodedRow row_;
  size_t rows_ = 0, used_ = 0;
};

}  // namespace winnow
