#include "train/candidates.h"

#include <algorithm>
#include <numeric>

namespace winnow {
namespace {

// The last row of each key in training and validation, else its first in the test split.
std::vector<int32_t> latest_rows(const Dataset& dataset, const std::vector<int32_t>& keys, size_t count) {
  std::vector<int32_t> row(count, -1);
  for (const Split split : {Split::Train, Split::Valid})
    for (const int32_t r : dataset.split(split)) row[static_cast<size_t>(keys[static_cast<size_t>(r)])] = r;
  for (const int32_t r : dataset.split(Split::Test)) {
    int32_t& at = row[static_cast<size_t>(keys[static_cast<size_t>(r)])];
    if (at < 0) at = r;
  }
  return row;
}

// users x items, a row each: item features from the item's row, all others from the user's.
class CandidateRows final : public RowSource {
 public:
  CandidateRows(const Dataset& dataset, const Profiles& profiles, const std::vector<int32_t>& users)
      : dataset_(dataset),
        profiles_(profiles),
        users_(users),
        template_(make_row_source(dataset, Split::Train, false)) {
    for (const int32_t f : dataset.map.fields())
      item_field_.push_back(dataset.map.features[static_cast<size_t>(f)].spec.source == FeatureSource::Item);
    for (const int32_t f : dataset.map.numbers()) {
      const FittedFeature& feature = dataset.map.features[static_cast<size_t>(f)];
      item_number_.insert(item_number_.end(), static_cast<size_t>(feature.width()),
                          feature.spec.source == FeatureSource::Item);
    }
  }
  BatchSpec spec(int64_t batch_size) const override { return template_->spec(batch_size); }
  int64_t rows() const override { return static_cast<int64_t>(users_.size() * dataset_.item_keys.size()); }
  int64_t fill(const Cursor& at, int64_t batch_size, std::span<const Tensor> tensors,
               std::span<int32_t> index) override {
    const int64_t live = std::min(batch_size, rows() - at.row);
    if (live <= 0) return 0;
    const bool bags = !dataset_.offsets.empty();
    const auto fields = dataset_.fields(), numbers = dataset_.numbers();
    auto* ids = tensors[0].data<int64_t>();
    auto* offsets = bags ? tensors[1].data<int64_t>() : nullptr;
    auto* dense = numbers > 0 ? tensors[bags ? 2 : 1].data<float>() : nullptr;
    auto* label = tensors[tensors.size() - 2].data<float>();
    auto* weight = tensors[tensors.size() - 1].data<float>();
    int64_t used = 0;
    if (bags) offsets[0] = 0;
    for (int64_t b = 0; b < batch_size; ++b) {
      const bool real = b < live;
      const int64_t pair = at.row + b, items = static_cast<int64_t>(dataset_.item_keys.size());
      const int64_t user_row =
          real ? profiles_.user_row[static_cast<size_t>(users_[static_cast<size_t>(pair / items)])] : 0;
      const int64_t item_row = real ? profiles_.item_row[static_cast<size_t>(pair % items)] : 0;
      for (int64_t f = 0; f < fields; ++f) {
        const int64_t row = item_field_[static_cast<size_t>(f)] ? item_row : user_row, bag = row * fields + f;
        if (!bags) {
          ids[b * fields + f] = real ? dataset_.ids[static_cast<size_t>(bag)] : -1;
          continue;
        }
        if (real)
          for (int64_t k = dataset_.offsets[static_cast<size_t>(bag)];
               k < dataset_.offsets[static_cast<size_t>(bag) + 1]; ++k)
            ids[used++] = dataset_.ids[static_cast<size_t>(k)];
        offsets[b * fields + f + 1] = used;
      }
      for (int64_t d = 0; d < numbers; ++d) {
        const int64_t row = item_number_[static_cast<size_t>(d)] ? item_row : user_row;
        dense[b * numbers + d] = real ? dataset_.dense[static_cast<size_t>(row * numbers + d)] : 0;
      }
      label[b] = 0;
      weight[b] = real ? 1.f : 0.f;
      if (real) index[static_cast<size_t>(b)] = static_cast<int32_t>(item_row);
    }
    if (bags) std::fill(ids + used, ids + tensors[0].numel(), -1);
    return live;
  }

 private:
  const Dataset& dataset_;
  const Profiles& profiles_;
  const std::vector<int32_t>& users_;
  std::unique_ptr<RowSource> template_;
  std::vector<bool> item_field_, item_number_;
};

}  // namespace

Profiles::Profiles(const Dataset& dataset)
    : user_row(latest_rows(dataset, dataset.user, dataset.user_keys.size())),
      item_row(latest_rows(dataset, dataset.item, dataset.item_keys.size())) {
  // keys that no row has (items of the side table nobody touched) borrow row 0's cells only if they are asked for
  for (int32_t& r : user_row) r = std::max(r, 0);
  for (int32_t& r : item_row) r = std::max(r, 0);
}

CandidateScorer::CandidateScorer(const Dataset& dataset, const CtrModel& model, int64_t batch_size,
                                 const CompileOptions& options)
    : dataset_(dataset),
      profiles_(dataset),
      batch_size_(batch_size),
      predictor_(model, make_row_source(dataset, Split::Train, false)->spec(batch_size), options) {}

std::vector<float> CandidateScorer::score(const std::vector<int32_t>& users) const {
  BatchSource source(std::make_unique<CandidateRows>(dataset_, profiles_, users), {batch_size_});
  return predictor_.logits(source);
}

UserItemLists::UserItemLists(const Dataset& dataset, const std::vector<Split>& splits, bool positives_only) {
  const size_t users = dataset.user_keys.size();
  offsets.assign(users + 1, 0);
  const auto each = [&](auto&& f) {
    for (const Split split : splits)
      for (const int32_t row : dataset.split(split)) {
        const auto r = static_cast<size_t>(row);
        if (!positives_only || dataset.label[r] > 0.5f) f(static_cast<size_t>(dataset.user[r]), dataset.item[r]);
      }
  };
  each([&](size_t user, int32_t) { ++offsets[user + 1]; });
  std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
  items.resize(static_cast<size_t>(offsets.back()));
  std::vector<int64_t> next(offsets.begin(), offsets.end() - 1);
  each([&](size_t user, int32_t item) { items[static_cast<size_t>(next[user]++)] = item; });
}

namespace {

RankingResult rank(const Dataset& dataset, const ScoreUsers& score, const RankingOptions& options,
                   const ItemFacts& facts) {
  // Sampled negatives of implicit data were never seen by the user: only what was really shown or taken is removed.
  const bool sampled = dataset.report.negatives > 0;
  const UserItemLists positives(dataset, {Split::Test}, true), seen(dataset, {Split::Train, Split::Valid}, sampled);
  RankingProblem problem{static_cast<int64_t>(dataset.user_keys.size()),
                         static_cast<int64_t>(dataset.item_keys.size()),
                         positives.view(),
                         seen.view(),
                         {},
                         facts.counts,
                         facts.categories};
  return evaluate_ranking(problem, score, options);
}

}  // namespace

RankingResult rank_catalogue(const Dataset& dataset, const CandidateScorer& scorer, const RankingOptions& options,
                             const ItemFacts& facts) {
  const auto score = [&](int64_t begin, int64_t end, std::span<float> scores) {
    std::vector<int32_t> users(static_cast<size_t>(end - begin));
    std::iota(users.begin(), users.end(), static_cast<int32_t>(begin));
    std::ranges::copy(scorer.score(users), scores.begin());
  };
  return rank(dataset, score, options, facts);
}
RankingResult rank_by_popularity(const Dataset& dataset, std::span<const float> item_scores,
                                 const RankingOptions& options, const ItemFacts& facts) {
  return rank(dataset, score_items(item_scores), options, facts);
}

}  // namespace winnow
