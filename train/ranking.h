// Full-catalogue ranking metrics: each user's items are ranked over the whole catalogue without those already seen, and
// compared with the user's held-out positives P (the top k is L, rel_r = 1 when the item at rank r is in P).
//
//   hr@k         1 if L and P meet, else 0                     recall@k     |L and P| / |P|
//   precision@k  |L and P| / k                                 mrr@k        1 / rank of the first hit in L, else 0
//   ndcg@k       sum_{r <= k} rel_r / log2(r + 1) over its maximum, sum_{r <= min(k, |P|)} 1 / log2(r + 1)
//                (Jarvelin and Kekalainen 2002, binary gains)
//   map@k        sum_{r <= k} rel_r precision@r / min(k, |P|)
//   coverage@k   distinct items in any L / items that may be recommended
//   gini@k       inequality of how often the n items that may be recommended are: x ascending,
//                sum_i (2 i - n - 1) x_i / (n sum x), i from 1; 0: all equally often, near 1: always the same few
//   novelty@k    mean over L of -log2((c_i + 1) / (C + n)), c_i the item's training positives, C their sum, n items
//                (self-information: Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma"; add one, so
//                that an item never seen has a finite one)
//   diversity@k  mean over pairs of L of 1 - |A and B| / |A or B|, A and B the categories of the two items (intra-list
//                diversity, Ziegler et al. 2005); items without a category are left out, lists without a pair skipped
// Means over the users that have a positive; the others are skipped and counted. Equal scores rank the lower id first.
//
// Sampled metrics, only when options.sampled_negatives = n asks for them, are named "hr@10 (1+n sampled)" and kept
// apart: each positive of a user is ranked against n distinct items drawn uniformly from those that are neither the
// user's positives nor seen nor barred; hr, ndcg (1 / log2(rank + 1)) and mrr of rank <= k, averaged over the user's
// positives. They are not estimates of the full ones and may order models differently (Krichene and Rendle 2020, "On
// Sampled Metrics for Item Recommendation").
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/bootstrap.h"
#include "train/metrics.h"

namespace winnow {

// Items of user u: items[offsets[u] .. offsets[u + 1]), in any order, repeats count once.
struct UserItems {
  std::span<const int64_t> offsets;  // [users + 1], not decreasing from 0; empty: no user has any
  std::span<const int64_t> items;
};

// Writes scores [end - begin, items] of users [begin, end); higher ranks first, -infinity is never ranked.
using ScoreUsers = std::function<void(int64_t begin, int64_t end, std::span<float> scores)>;

struct RankingProblem {
  int64_t users = 0;
  int64_t items = 0;
  UserItems positives = {};                       // held out, to be found
  UserItems seen = {};                            // never ranked for that user: the training items
  std::span<const int64_t> not_for_ranking = {};  // ids that no user may get: padding, OOV
  std::span<const double> item_counts = {};       // [items] training positives; empty: no novelty
  UserItems item_categories = {};                 // of item i, any ids from 0 up; empty: no diversity
};

struct RankingOptions {
  std::vector<int> ks = {10};
  int64_t users_per_call = 256;     // of the score function; the buffer has users_per_call * items floats
  BootstrapOptions bootstrap = {};  // over users; coverage and gini have no interval
  int sampled_negatives = 0;        // 0: no sampled metrics
  uint64_t sampling_seed = 1;       // user u's negatives are drawn from (seed, u)
};

struct RankingResult {
  // By k: "hr@10", "ndcg@10", "recall@10", "precision@10", "mrr@10", "map@10", "coverage@10", "gini@10", and where the
  // problem has what they need "novelty@10", "diversity@10".
  std::vector<MetricValue> metrics;
  std::vector<MetricValue> sampled;  // "hr@10 (1+99 sampled)", ...; empty unless asked for
  int64_t users = 0;                 // evaluated
  int64_t skipped_users = 0;         // without a positive that may be ranked
  int64_t unrankable_positives = 0;  // positives also seen or not for ranking: taken out of P
};

constexpr int kMostDiversityItems = 200;  // diversity@k beyond has a reason instead of k^2 / 2 pairs a user

// ConfigError on a k outside [1, items]; DataError on an item id outside [0, items), on offsets that do not fit, on a
// NaN score (names user and item). The same bits for any number of threads, any order of users and any users_per_call.
RankingResult evaluate_ranking(const RankingProblem& problem, const ScoreUsers& score,
                               const RankingOptions& options = {});

// ScoreUsers that reads rows of a [users, items] matrix, which must outlive it.
ScoreUsers score_matrix(std::span<const float> scores, int64_t items);
// ScoreUsers that ranks by one score an item for everybody: the popularity baseline.
ScoreUsers score_items(std::span<const float> scores);

// The k items of highest finite score, best first, ties by lower id; fewer when fewer rank. `top` is overwritten.
void top_items(std::span<const float> scores, int k, std::vector<int64_t>& top);

}  // namespace winnow
