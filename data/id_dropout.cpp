// Ids replaced by the OOV row in training batches.
#include "core/rng.h"
#include "data/detail/row_sources.h"

namespace winnow::detail {
namespace {

constexpr uint64_t kStream = uint64_t{3} << 62;  // apart from the streams of shuffling, one an epoch

class IdDropout final : public RowSource {
 public:
  IdDropout(const Dataset& dataset, std::unique_ptr<RowSource> rows, uint64_t seed)
      : rows_(std::move(rows)), seed_(seed), rate_(dataset.id_dropout), bags_(dataset.map.has_bags()) {
    for (size_t f = 0; f < dataset.map.fields().size(); ++f) oov_.push_back(dataset.map.field(f).oov());
  }
  BatchSpec spec(int64_t batch_size) const override { return rows_->spec(batch_size); }
  int64_t rows() const override { return rows_->rows(); }
  int64_t rows_per_batch(int64_t batch_size) const override { return rows_->rows_per_batch(batch_size); }

  int64_t fill(const Cursor& at, int64_t batch_size, std::span<const Tensor> tensors,
               std::span<int32_t> index) override {
    const int64_t live = rows_->fill(at, batch_size, tensors, index);
    const Philox philox{seed_, kStream + static_cast<uint64_t>(at.epoch)};
    const auto ids = tensors[0].span<int64_t>();
    const auto fields = static_cast<int64_t>(oov_.size());
    for (int64_t cell = 0; cell < live * fields; ++cell) {
      const int64_t begin = bags_ ? tensors[1].span<int64_t>()[static_cast<size_t>(cell)] : cell,
                    end = bags_ ? tensors[1].span<int64_t>()[static_cast<size_t>(cell) + 1] : cell + 1;
      for (int64_t i = begin; i < end; ++i) drop(philox, at.row, i, oov_[static_cast<size_t>(cell % fields)], ids);
    }
    return live;
  }

 private:
  // PAD (0) and padding (-1) stay what they are.
  void drop(const Philox& philox, int64_t row, int64_t i, int64_t oov, std::span<int64_t> ids) const {
    int64_t& id = ids[static_cast<size_t>(i)];
    if (oov < 0 || id <= 0) return;
    if (to_unit(philox(static_cast<uint64_t>(i), static_cast<uint64_t>(row))[0]) < rate_) id = oov;
  }
  std::unique_ptr<RowSource> rows_;
  uint64_t seed_;
  double rate_;
  bool bags_;
  std::vector<int64_t> oov_;  // of each field; -1: none
};

}  // namespace

std::unique_ptr<RowSource> make_id_dropout(const Dataset& dataset, std::unique_ptr<RowSource> rows, uint64_t seed) {
  return std::make_unique<IdDropout>(dataset, std::move(rows), seed);
}

}  // namespace winnow::detail
