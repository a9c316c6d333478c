// Negatives drawn from the batch while it is filled.
#include <algorithm>

#include "core/error.h"
#include "core/rng.h"
#include "data/detail/row_sources.h"
#include "data/pair_rows.h"

namespace winnow::detail {
namespace {

class InBatchRows final : public RowSource {
 public:
  InBatchRows(const Dataset& dataset, uint64_t seed)
      : dataset_(dataset), negatives_(*dataset.in_batch), filler_(dataset), seed_(seed), order_(dataset.train) {
    drawn_.reserve(static_cast<size_t>(negatives_.per_positive));
  }

  int64_t rows() const override { return static_cast<int64_t>(dataset_.train.size()); }
  int64_t rows_per_batch(int64_t batch_size) const override { return batch_size / (1 + negatives_.per_positive); }

  BatchSpec spec(int64_t batch_size) const override {
    WN_CHECK(rows_per_batch(batch_size) >= 2, ConfigError,
             "a batch of {} rows holds fewer than two positives with {} negatives each; give a larger batch_size",
             batch_size, negatives_.per_positive);
    return winnow::batch_spec(dataset_.map, batch_size);
  }

  int64_t fill(const Cursor& at, int64_t batch_size, std::span<const Tensor> tensors,
               std::span<int32_t> index) override {
    const int64_t positives = std::min(rows_per_batch(batch_size), rows() - at.row);
    if (positives <= 0) return 0;
    permute(at.epoch);
    const std::span<const int32_t> chosen(order_.data() + at.row, static_cast<size_t>(positives));
    pairs_.clear();
    pairs_.reserve(static_cast<size_t>(batch_size));
    for (size_t i = 0; i < chosen.size(); ++i) {
      const auto r = static_cast<size_t>(chosen[i]);
      pairs_.push_back({chosen[i], chosen[i], dataset_.label[r], dataset_.weight[r]});
      add_negatives(chosen, i, at);
    }
    filler_.fill(pairs_, batch_size, tensors);
    for (size_t b = 0; b < pairs_.size(); ++b) index[b] = pairs_[b].item_row;
    return static_cast<int64_t>(pairs_.size());
  }

 private:
  void permute(int64_t epoch) {
    if (epoch == epoch_) return;
    std::ranges::copy(dataset_.train, order_.begin());
    Rng rng(seed_, static_cast<uint64_t>(epoch));
    rng.shuffle(order_);
    epoch_ = epoch;
  }

  bool allowed(int32_t row, int32_t other) const {
    const int32_t item = dataset_.item[static_cast<size_t>(other)];
    if (std::ranges::find(drawn_, item) != drawn_.end()) return false;
    const auto user = static_cast<size_t>(dataset_.user[static_cast<size_t>(row)]);
    return !std::binary_search(negatives_.taken.begin() + negatives_.taken_begin[user],
                               negatives_.taken.begin() + negatives_.taken_begin[user + 1], item);
  }

  // The other positives from a drawn place on, as often as needed from a new one: a batch whose users took nearly
  // everything has fewer negatives.
  void add_negatives(std::span<const int32_t> chosen, size_t i, const Cursor& at) {
    const int32_t row = chosen[i];
    Rng rng(seed_ ^ kNegativeSeed, (static_cast<uint64_t>(at.epoch) + 1) << 40 ^ (static_cast<uint64_t>(at.row) + i));
    drawn_.clear();
    while (static_cast<int64_t>(drawn_.size()) < negatives_.per_positive) {
      const size_t start = rng.below(chosen.size());
      size_t step = 0;
      while (step < chosen.size() && !allowed(row, chosen[(start + step) % chosen.size()])) ++step;
      if (step == chosen.size()) return;
      const int32_t other = chosen[(start + step) % chosen.size()];
      drawn_.push_back(dataset_.item[static_cast<size_t>(other)]);
      pairs_.push_back({row, other, 0, dataset_.weight[static_cast<size_t>(row)]});
    }
  }

  static constexpr uint64_t kNegativeSeed = 0x6E65676174697665u;  // apart from the order's

  const Dataset& dataset_;
  const InBatchNegatives& negatives_;
  PairFiller filler_;
  uint64_t seed_;
  std::vector<int32_t> order_, drawn_;
  std::vector<RowPair> pairs_;
  int64_t epoch_ = -1;
};

}  // namespace

std::unique_ptr<RowSource> make_in_batch_rows(const Dataset& dataset, uint64_t seed) {
  return std::make_unique<InBatchRows>(dataset, seed);
}

}  // namespace winnow::detail
