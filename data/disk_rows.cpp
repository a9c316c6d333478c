// Rows of a data set in a file.
#include <algorithm>
#include <functional>
#include <numeric>

#include "core/rng.h"
#include "data/detail/row_sources.h"
#include "data/row_file.h"

namespace winnow::detail {
namespace {

// Writes rows into the tensors of a batch, one after another, then the padding.
class BatchWriter {
 public:
  BatchWriter(const RowLayout& layout, std::span<const Tensor> tensors)
      : layout_(layout),
        ids_(tensors[0].span<int64_t>()),
        label_(tensors[tensors.size() - 2].span<float>()),
        weight_(tensors[tensors.size() - 1].span<float>()) {
    if (layout.bags) {
      offsets_ = tensors[1].span<int64_t>();
      offsets_[0] = 0;
    }
    if (layout.dense > 0) dense_ = tensors[layout.bags ? 2 : 1].span<float>();
  }
  void add(const RowView& row) {
    const auto fields = static_cast<size_t>(layout_.fields), numbers = static_cast<size_t>(layout_.dense);
    const uint32_t* id = row.ids();
    for (size_t f = 0; f < fields; ++f) {
      for (int64_t k = row.length(static_cast<int64_t>(f)); k > 0; --k) ids_[used_++] = *id++;
      if (layout_.bags) offsets_[rows_ * fields + f + 1] = static_cast<int64_t>(used_);
    }
    for (size_t k = 0; k < numbers; ++k) dense_[rows_ * numbers + k] = __builtin_bit_cast(float, row.dense()[k]);
    label_[rows_] = row.label();
    weight_[rows_] = row.weight();
    ++rows_;
  }
  void pad() {
    const auto at = [](auto span, size_t from) { return span.subspan(std::min(from, span.size())); };
    std::ranges::fill(at(ids_, used_), -1);
    if (layout_.bags)
      std::ranges::fill(at(offsets_, rows_ * static_cast<size_t>(layout_.fields) + 1), static_cast<int64_t>(used_));
    std::ranges::fill(at(dense_, rows_ * static_cast<size_t>(layout_.dense)), 0.f);
    std::ranges::fill(at(label_, rows_), 0.f);
    std::ranges::fill(at(weight_, rows_), 0.f);
  }

 private:
  const RowLayout& layout_;
  std::span<int64_t> ids_, offsets_;
  std::span<float> dense_, label_, weight_;
  size_t rows_ = 0, used_ = 0;
};

class DiskRows final : public RowSource {
 public:
  DiskRows(const Dataset& dataset, Split split, bool shuffle, uint64_t seed)
      : dataset_(dataset),
        file_(*dataset.file),
        split_(split),
        shuffle_(shuffle),
        seed_(seed),
        blocks_(file_.blocks(split)) {
    std::iota(blocks_.begin(), blocks_.end(), 0);
    const size_t windows = (blocks_.size() + kWindowBlocks - 1) / kWindowBlocks;
    window_begin_.resize(windows + 1);
    place_windows();
    std::vector<size_t> sizes;
    for (size_t b = 0; b < blocks_.size(); ++b) sizes.push_back(file_.words(split, b));
    std::ranges::sort(sizes, std::greater());
    sizes.resize(std::min(sizes.size(), kWindowBlocks));
    window_.words.reserve(std::accumulate(sizes.begin(), sizes.end(), size_t{0}));
    window_.begin.reserve(kWindowBlocks * RowFileWriter::kBlockRows);
    rows_of_.reserve(window_.begin.capacity());
    order_.reserve(window_.begin.capacity());
  }

  int64_t rows() const override { return file_.rows(split_); }
  BatchSpec spec(int64_t batch_size) const override { return winnow::batch_spec(dataset_.map, batch_size); }

  int64_t fill(const Cursor& at, int64_t batch_size, std::span<const Tensor> tensors,
               std::span<int32_t> index) override {
    const int64_t live = std::min(batch_size, rows() - at.row);
    if (live <= 0) return 0;
    permute(at.epoch);
    BatchWriter batch(file_.layout(), tensors);
    for (int64_t b = 0; b < live; ++b) {
      const int64_t row = at.row + b;
      if (loaded_ < 0 || row < window_begin_[static_cast<size_t>(loaded_)] ||
          row >= window_begin_[static_cast<size_t>(loaded_) + 1])
        load(at.epoch, row);
      const size_t r = order_[static_cast<size_t>(row - window_begin_[static_cast<size_t>(loaded_)])];
      batch.add(RowView(file_.layout(), window_.words.data() + window_.begin[r]));
      index[static_cast<size_t>(b)] = rows_of_[r];
    }
    batch.pad();
    return live;
  }

 private:
  // From the sorted order, so that an epoch's permutation does not depend on those before it.
  void permute(int64_t epoch) {
    if (!shuffle_ || epoch == epoch_) return;
    std::iota(blocks_.begin(), blocks_.end(), 0);
    Rng(seed_, static_cast<uint64_t>(epoch)).shuffle(blocks_);
    place_windows();
    epoch_ = epoch;
    loaded_ = -1;
  }

  void place_windows() {
    int64_t row = 0;
    for (size_t i = 0; i < blocks_.size(); ++i) {
      if (i % kWindowBlocks == 0) window_begin_[i / kWindowBlocks] = row;
      row += file_.first_row(split_, blocks_[i] + 1) - file_.first_row(split_, blocks_[i]);
    }
    window_begin_.back() = row;
  }

  // Reads the window that holds a row of the epoch.
  void load(int64_t epoch, int64_t row) {
    const auto window = static_cast<size_t>(std::ranges::upper_bound(window_begin_, row) - window_begin_.begin()) - 1;
    loaded_ = -1;
    window_.clear();
    rows_of_.clear();
    const size_t end = std::min(blocks_.size(), (window + 1) * kWindowBlocks);
    for (size_t i = window * kWindowBlocks; i < end; ++i) {
      file_.read(split_, blocks_[i], window_);
      const auto first = static_cast<int32_t>(file_.first_row(split_, blocks_[i]));
      for (int32_t r = first; rows_of_.size() < window_.begin.size(); ++r) rows_of_.push_back(r);
    }
    order_.resize(rows_of_.size());
    std::iota(order_.begin(), order_.end(), 0u);
    if (shuffle_) Rng(seed_, (static_cast<uint64_t>(epoch) + 1) << 32 | (window + 1)).shuffle(order_);
    loaded_ = static_cast<int64_t>(window);
  }

  const Dataset& dataset_;
  const RowFile& file_;
  Split split_;
  bool shuffle_;
  uint64_t seed_;
  std::vector<size_t> blocks_;         // in the order of the epoch
  std::vector<int64_t> window_begin_;  // rows before each window, and all
  int64_t epoch_ = -1, loaded_ = -1;   // loaded_: the window that is held
  RowWords window_;
  std::vector<int32_t> rows_of_;  // of the split
  std::vector<uint32_t> order_;
};

}  // namespace

std::unique_ptr<RowSource> make_disk_rows(const Dataset& dataset, Split split, bool shuffle, uint64_t seed) {
  return std::make_unique<DiskRows>(dataset, split, shuffle, seed);
}

}  // namespace winnow::detail
