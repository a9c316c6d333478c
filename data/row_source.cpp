// Rows of a data set in memory.
#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "data/detail/row_sources.h"

namespace winnow {

BatchSpec batch_spec(const FeatureMap& map, int64_t batch_size) {
  const auto fields = static_cast<int64_t>(map.fields().size()), numbers = map.dense_width();
  BatchSpec s;
  s.batch_size = batch_size;
  s.bags = map.has_bags();
  if (s.bags) {
    s.inputs.push_back({"ids", {DType::I64, Shape{batch_size * map.ids_per_row()}}});
    s.inputs.push_back({"offsets", {DType::I64, Shape{batch_size * fields + 1}}});
  } else {
    s.inputs.push_back({"ids", {DType::I64, Shape{batch_size, fields}}});
  }
  if (numbers > 0) s.inputs.push_back({"dense", {DType::F32, Shape{batch_size, numbers}}});
  s.inputs.push_back({"label", {DType::F32, Shape{batch_size}}});
  s.inputs.push_back({"weight", {DType::F32, Shape{batch_size}}});
  return s;
}

namespace {

class DatasetRows final : public RowSource {
 public:
  DatasetRows(const Dataset& dataset, Split split, bool shuffle, uint64_t seed)
      : dataset_(dataset), split_(dataset.split(split)), shuffle_(shuffle), seed_(seed) {}

  int64_t rows() const override { return static_cast<int64_t>(split_.size()); }

  BatchSpec spec(int64_t batch_size) const override { return batch_spec(dataset_.map, batch_size); }

  int64_t fill(const Cursor& at, int64_t batch_size, std::span<const Tensor> tensors,
               std::span<int32_t> index) override {
    const int64_t live = std::min(batch_size, rows() - at.row);
    if (live <= 0) return 0;
    if (shuffle_) permute(at.epoch);
    const std::vector<int32_t>& order = shuffle_ ? order_ : split_;
    std::copy_n(order.begin() + at.row, live, index.begin());
    const std::span<const int32_t> chosen = index.first(static_cast<size_t>(live));
    const bool bags = !dataset_.offsets.empty();
    if (bags)
      fill_bags(chosen, tensors[0].span<int64_t>(), tensors[1].span<int64_t>());
    else
      fill_ids(chosen, tensors[0].span<int64_t>());
    if (const auto numbers = static_cast<size_t>(dataset_.numbers()); numbers > 0)
      fill_rows(chosen, dataset_.dense, numbers, tensors[bags ? 2 : 1].span<float>());
    fill_rows(chosen, dataset_.label, 1, tensors[tensors.size() - 2].span<float>());
    fill_rows(chosen, dataset_.weight, 1, tensors[tensors.size() - 1].span<float>());
    return live;
  }

 private:
  // Fisher-Yates from the sorted order, so that an epoch's permutation does not depend on those before it.
  void permute(int64_t epoch) {
    if (epoch == order_epoch_) return;
    order_ = split_;
    Rng rng(seed_, static_cast<uint64_t>(epoch));
    rng.shuffle(order_);
    order_epoch_ = epoch;
  }

  void fill_ids(std::span<const int32_t> chosen, std::span<int64_t> ids) const {
    const auto fields = static_cast<size_t>(dataset_.fields());
    auto out = ids.begin();
    for (const int32_t r : chosen)
      out = std::copy_n(dataset_.ids.begin() + int64_t{r} * dataset_.fields(), fields, out);
    std::fill(out, ids.end(), -1);
  }

  // A row's bags lie one after another: its ids are one copy, its offsets a shift.
  void fill_bags(std::span<const int32_t> chosen, std::span<int64_t> ids, std::span<int64_t> offsets) const {
    const int64_t fields = dataset_.fields();
    auto out = ids.begin();
    auto end = offsets.begin();
    *end++ = 0;
    for (const int32_t r : chosen) {
      const int64_t* bag = dataset_.offsets.data() + r * fields;
      const int64_t shift = (out - ids.begin()) - bag[0];
      for (int64_t f = 1; f <= fields; ++f) *end++ = bag[f] + shift;
      out = std::copy(dataset_.ids.begin() + bag[0], dataset_.ids.begin() + bag[fields], out);
    }
    std::fill(end, offsets.end(), out - ids.begin());
    std::fill(out, ids.end(), -1);
  }

  void fill_rows(std::span<const int32_t> chosen, const std::vector<float>& from, size_t width,
                 std::span<float> to) const {
    auto out = to.begin();
    for (const int32_t r : chosen)
      out = std::copy_n(from.begin() + int64_t{r} * static_cast<int64_t>(width), width, out);
    std::fill(out, to.end(), 0.f);
  }

  const Dataset& dataset_;
  const std::vector<int32_t>& split_;
  bool shuffle_;
  uint64_t seed_;
  std::vector<int32_t> order_;
  int64_t order_epoch_ = -1;
};

}  // namespace

std::unique_ptr<RowSource> make_row_source(const Dataset& dataset, Split split, bool shuffle, uint64_t seed) {
  WN_CHECK(!dataset.map.fields().empty(), DataError,
           "no feature gives ids, there is nothing to embed: add a categorical feature such as the user id, or give a "
           "numeric one `boundaries` or `quantiles`");
  if (dataset.on_disk()) return detail::make_disk_rows(dataset, split, shuffle, seed);
  return std::make_unique<DatasetRows>(dataset, split, shuffle, seed);
}

std::unique_ptr<RowSource> make_training_source(const Dataset& dataset, uint64_t seed) {
  auto rows = dataset.in_batch != nullptr ? detail::make_in_batch_rows(dataset, seed)
                                          : make_row_source(dataset, Split::Train, true, seed);
  return dataset.id_dropout > 0 ? detail::make_id_dropout(dataset, std::move(rows), seed) : std::move(rows);
}

}  // namespace winnow
