#include "data/pair_rows.h"

#include <algorithm>

namespace winnow {

PairFiller::PairFiller(const Dataset& dataset) : dataset_(dataset) {
  const auto is_item = [&](int32_t f) {
    return dataset.map.features[static_cast<size_t>(f)].spec.source == FeatureSource::Item;
  };
  for (const int32_t f : dataset.map.fields()) item_field_.push_back(is_item(f));
  for (const int32_t f : dataset.map.numbers())
    item_number_.insert(item_number_.end(), static_cast<size_t>(dataset.map.features[static_cast<size_t>(f)].width()),
                        is_item(f));
}

void PairFiller::fill(std::span<const RowPair> pairs, int64_t batch_size, std::span<const Tensor> tensors) const {
  const bool bags = !dataset_.offsets.empty();
  const auto fields = item_field_.size(), numbers = item_number_.size(), live = pairs.size();
  const auto ids = tensors[0].span<int64_t>();
  const auto offsets = bags ? tensors[1].span<int64_t>() : std::span<int64_t>{};
  const auto dense = numbers > 0 ? tensors[bags ? 2 : 1].span<float>() : std::span<float>{};
  const auto label = tensors[tensors.size() - 2].span<float>(), weight = tensors[tensors.size() - 1].span<float>();
  size_t used = 0;
  if (bags) offsets[0] = 0;
  for (size_t b = 0; b < live; ++b) {
    const RowPair& pair = pairs[b];
    for (size_t f = 0; f < fields; ++f) {
      const size_t bag = static_cast<size_t>(item_field_[f] ? pair.item_row : pair.row) * fields + f;
      if (!bags) {
        ids[used++] = dataset_.ids[bag];
        continue;
      }
      for (int64_t k = dataset_.offsets[bag]; k < dataset_.offsets[bag + 1]; ++k)
        ids[used++] = dataset_.ids[static_cast<size_t>(k)];
      offsets[b * fields + f + 1] = static_cast<int64_t>(used);
    }
    for (size_t k = 0; k < numbers; ++k)
      dense[b * numbers + k] =
          dataset_.dense[static_cast<size_t>(item_number_[k] ? pair.item_row : pair.row) * numbers + k];
    label[b] = pair.label;
    weight[b] = pair.weight;
  }
  const auto rows = static_cast<size_t>(batch_size);
  std::ranges::fill(ids.subspan(used), -1);
  if (bags) std::ranges::fill(offsets.subspan(live * fields + 1), static_cast<int64_t>(used));
  if (numbers > 0) std::ranges::fill(dense.subspan(live * numbers, (rows - live) * numbers), 0.f);
  std::ranges::fill(label.subspan(live), 0.f);
  std::ranges::fill(weight.subspan(live), 0.f);
}

}  // namespace winnow
