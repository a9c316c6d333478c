#include "train/candidates.h"

#include <algorithm>
#include <numeric>

#include "data/pair_rows.h"
#include "data/row_facts.h"

namespace winnow {
namespace {

// users x items, a row each: item features from the item's row, all others from the user's.
class CandidateRows final : public RowSource {
 public:
  CandidateRows(const Dataset& dataset, const Profiles& profiles, const std::vector<int32_t>& users)
      : items_(static_cast<int64_t>(dataset.item_keys.size())),
        profiles_(profiles),
        users_(users),
        filler_(profiles.rows()),
        template_(make_row_source(dataset, Split::Train, false)) {}
  BatchSpec spec(int64_t batch_size) const override { return template_->spec(batch_size); }
  int64_t rows() const override { return static_cast<int64_t>(users_.size()) * items_; }
  int64_t fill(const Cursor& at, int64_t batch_size, std::span<const Tensor> tensors,
               std::span<int32_t> index) override {
    const int64_t live = std::min(batch_size, rows() - at.row);
    if (live <= 0) return 0;
    pairs_.clear();
    for (int64_t pair = at.row; pair < at.row + live; ++pair) {
      const auto user = static_cast<size_t>(users_[static_cast<size_t>(pair / items_)]);
      const int32_t item_row = profiles_.item_row[static_cast<size_t>(pair % items_)];
      index[pairs_.size()] = item_row;
      pairs_.push_back({profiles_.user_row[user], item_row, 0, 1});
    }
    filler_.fill(pairs_, batch_size, tensors);
    return live;
  }

 private:
  int64_t items_;
  const Profiles& profiles_;
  const std::vector<int32_t>& users_;
  PairFiller filler_;
  std::unique_ptr<RowSource> template_;
  std::vector<RowPair> pairs_;
};

}  // namespace

Profiles::Profiles(const Dataset& dataset) : dataset_(&dataset) {
  const auto users = latest_rows(dataset, &RowFacts::user, dataset.user_keys.size()),
             items = latest_rows(dataset, &RowFacts::item, dataset.item_keys.size());
  // keys that no row has (items of the side table nobody touched) borrow the first row's cells only if they are asked
  // for
  std::vector<RowPlace> places;
  for (const auto* list : {&users, &items})
    for (const RowPlace& p : *list) places.push_back({p.split, std::max<int64_t>(p.row, 0)});
  std::vector<int32_t> rows;
  if (dataset.on_disk()) {
    gathered_ = std::make_shared<const Dataset>(gather_rows(dataset, places));
    dataset_ = gathered_.get();
    rows = dataset_->train;
  } else {
    for (const RowPlace& p : places) rows.push_back(dataset.split(p.split)[static_cast<size_t>(p.row)]);
  }
  user_row.assign(rows.begin(), rows.begin() + static_cast<int64_t>(users.size()));
  item_row.assign(rows.begin() + static_cast<int64_t>(users.size()), rows.end());
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

UserItemLists::UserItemLists(const Dataset& dataset, const std::vector<Split>& splits, bool positives_only,
                             const std::vector<bool>* only) {
  const size_t users = dataset.user_keys.size();
  offsets.assign(users + 1, 0);
  const auto each = [&](auto&& visit) {
    for (const Split split : splits)
      for_each_facts(dataset, split, [&](const RowFacts& f) {
        for (size_t r = 0; r < f.user.size(); ++r) {
          const auto user = static_cast<size_t>(f.user[r]);
          if ((only == nullptr || (*only)[user]) && (!positives_only || f.label[r] > 0.5f)) visit(user, f.item[r]);
        }
      });
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
  const UserItemLists positives(dataset, {Split::Test}, true);
  std::vector<bool> ranked(dataset.user_keys.size());
  for (size_t u = 0; u < ranked.size(); ++u) ranked[u] = positives.offsets[u] < positives.offsets[u + 1];
  const UserItemLists seen(dataset, {Split::Train, Split::Valid}, sampled, &ranked);
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
