// Full-catalogue ranking metrics: each user's items are ranked over the whole catalogue without those already seen, and
// compared with the user's held-out positives P (the top k is L, rel_r = 1 when the item at rank r is in P).
//
//   hr@k         1 if L and P meet, else 0                     recall@k     |L and P| / |P|
//   precision@k  |L and P| / k                                 mrr@k        1 / rank of the first hit in L, else 0
//   ndcg@k       sum_{r <= k} rel_r / log2(r + 1) over its maximum, sum_{r <= min(k, |P|)} 1 / log2(r + 1)
//                (Jarvelin and Kekalainen 2002, binary gains)
//   coverage@k   distinct items in any L / items that may be recommended
// Means over the users that have a positive; the others are skipped and counted. Equal scores rank the lower id first.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "train/bootstrap.h"
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
};

struct RankingOptions {
  std::vector<int> ks = {10};
  int64_t users_per_call = 256;     // of the score function; the buffer has users_per_call * items floats
  BootstrapOptions bootstrap = {};  // over users; coverage has no interval
};

struct RankingResult {
  std::vector<MetricValue> metrics;  // "hr@10", "ndcg@10", "recall@10", "precision@10", "mrr@10", "coverage@10", by k
  int64_t users = 0;                 // evaluated
  int64_t skipped_users = 0;         // without a positive that may be ranked
  int64_t unrankable_positives = 0;  // positives also seen or not for ranking: taken out of P
};

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
