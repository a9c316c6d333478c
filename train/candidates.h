// Users against the whole catalogue: the rows that a click model scores to rank items for a user.
#pragma once
#include <memory>
#include <vector>

#include "data/batches.h"
#include "train/ctr_task.h"
#include "train/ranking.h"

namespace winnow {

// Where features of a user or an item are taken from when no row has both.
class Profiles {
 public:
  explicit Profiles(const Dataset& dataset);
  const Dataset& rows() const { return *dataset_; }  // in memory: what the rows below are of
  std::vector<int32_t> user_row;  // the user's latest row before the test split, else the first: user and context cells
  std::vector<int32_t> item_row;  // the item's likewise: item cells

 private:
  const Dataset* dataset_;
  std::shared_ptr<const Dataset> gathered_;  // the rows of a data set on disk that are asked for
};

// Scores all items for ranges of users; the buffer of ranking.h.
class CandidateScorer {
 public:
  CandidateScorer(const Dataset& dataset, const CtrModel& model, int64_t batch_size,
                  const CompileOptions& options = {});
  std::vector<float> score(const std::vector<int32_t>& users) const;  // [users, items] logits

 private:
  const Dataset& dataset_;
  Profiles profiles_;
  int64_t batch_size_;
  mutable CtrPredictor predictor_;
};

// Items of each user (of those of `only`) in the given splits, by label: positives only, or all rows.
struct UserItemLists {
  UserItemLists(const Dataset& dataset, const std::vector<Split>& splits, bool positives_only,
                const std::vector<bool>* only = nullptr);
  std::vector<int64_t> offsets, items;
  UserItems view() const { return {offsets, items}; }
};

// What novelty and diversity need to know of items (RankingProblem::item_counts, item_categories).
struct ItemFacts {
  std::span<const double> counts = {};
  UserItems categories = {};
};

// The metrics of ranking.h over the full catalogue, items of training and validation removed; test positives are what
// is to be found. Also for the ranking by one score an item.
RankingResult rank_catalogue(const Dataset& dataset, const CandidateScorer& scorer, const RankingOptions& options,
                             const ItemFacts& facts = {});
RankingResult rank_by_popularity(const Dataset& dataset, std::span<const float> item_scores,
                                 const RankingOptions& options, const ItemFacts& facts = {});

}  // namespace winnow
