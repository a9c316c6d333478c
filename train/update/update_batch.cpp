#include "train/update/update_batch.h"

#include <algorithm>

namespace winnow {

UpdateBatch::UpdateBatch(const FeatureMap& map, int64_t rows, JoinRow join)
    : fields_(static_cast<int64_t>(map.fields().size())),
      width_(map.dense_width()),
      join_(std::move(join)),
      spec_(batch_spec(map, rows)) {
  for (const auto& input : spec_.inputs) {
    const Tensor& tensor = feeds_.emplace_back(Tensor::zeros(input.spec));
    if (input.name == "ids") ids_ = tensor.span<int64_t>();
    if (input.name == "offsets") offsets_ = tensor.span<int64_t>();
    if (input.name == "dense") dense_ = tensor.span<float>();
    if (input.name == "label") label_ = tensor.span<float>();
    if (input.name == "weight") weight_ = tensor.span<float>();
  }
}

void UpdateBatch::add(const UpdateRow& row) {
  join_(row.user, row.item, row_);
  WN_CHECK(static_cast<int64_t>(row_.lengths.size()) == fields_ && static_cast<int64_t>(row_.dense.size()) == width_,
           ShapeError, "a row has {} fields and {} numbers, the model {} and {}", row_.lengths.size(),
           row_.dense.size(), fields_, width_);
  std::ranges::copy(row_.ids, ids_.begin() + static_cast<std::ptrdiff_t>(used_));
  if (!offsets_.empty())
    for (size_t f = 0, at = used_; f < row_.lengths.size(); ++f) {
      at += static_cast<size_t>(row_.lengths[f]);
      offsets_[rows_ * row_.lengths.size() + f + 1] = static_cast<int64_t>(at);
    }
  used_ += row_.ids.size();
  std::ranges::copy(row_.dense, dense_.begin() + static_cast<std::ptrdiff_t>(rows_ * row_.dense.size()));
  label_[rows_] = row.label;
  weight_[rows_] = 1;
  ++rows_;
}

void UpdateBatch::fill(std::span<const UpdateRow> first, std::span<const UpdateRow> then) {
  WN_CHECK(first.size() + then.size() <= label_.size(), ShapeError, "{} rows for a batch of {}",
           first.size() + then.size(), label_.size());
  rows_ = used_ = 0;
  for (const UpdateRow& row : first) add(row);
  for (const UpdateRow& row : then) add(row);
  std::ranges::fill(ids_.subspan(used_), -1);
  if (!offsets_.empty())
    std::ranges::fill(offsets_.subspan(rows_ * static_cast<size_t>(fields_) + 1), static_cast<int64_t>(used_));
  std::ranges::fill(dense_.subspan(rows_ * static_cast<size_t>(width_)), 0.f);
  std::ranges::fill(label_.subspan(rows_), 0.f);
  std::ranges::fill(weight_.subspan(rows_), 0.f);
}

}  // namespace winnow
