// Ranking metrics of lists that carry their own grades, such as the results of one search: rows of one group are one
// list.
//
//   DCG@k(order)  sum_{r <= k} gain(grade at rank r) / log2(r + 1); gain(g) = g (Linear) or 2^g - 1 (Exponential:
//                 Burges et al. 2005, "Learning to Rank using Gradient Descent")
//   NDCG@k        DCG@k of the order by falling score over that of the order by falling grade
//                 (Jarvelin and Kekalainen 2002, "Cumulated gain-based evaluation of IR techniques")
//   MAP@k         mean over lists of sum_{r <= k} rel_r precision@r / min(k, relevant rows), relevant: grade > 0
//   MRR@k         mean over lists of 1 / rank of the first relevant row, 0 where none is among the first k
// Equal scores:
//   Average       each of them gets the mean gain of all of them, the expectation over their orders (McSherry and
//   Najork
//                 2008, "Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied
//                 Scores"; scikit-learn's ndcg_score)
//   ByOrder       the earlier row ranks first (scikit-learn's ndcg_score(ignore_ties=True) up to its order of ties)
#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "core/bootstrap.h"
#include "train/metrics.h"

namespace winnow {

enum class Gain : uint8_t { Linear, Exponential };
enum class Ties : uint8_t { Average, ByOrder };

struct NdcgOptions {
  int64_t k = 0;  // 0: the whole list
  Gain gain = Gain::Linear;
  Ties ties = Ties::Average;
};

// Of one list; nothing when no grade is above 0 (the best order has no gain either).
std::optional<double> ndcg(std::span<const float> scores, std::span<const float> grades,
                           const NdcgOptions& options = {});
// Average precision at k of one list, ties by order; nothing when no grade is above 0.
std::optional<double> average_precision_at(std::span<const float> scores, std::span<const float> grades, int64_t k = 0);

// 1 / rank of the first row with a grade above 0, ties by order; 0 when it is not among the first k. Nothing when no
// grade is above 0.
std::optional<double> reciprocal_rank_at(std::span<const float> scores, std::span<const float> grades, int64_t k = 0);

struct GradedRows {
  std::span<const float> scores;
  std::span<const float> grades;    // finite, not negative
  std::span<const int64_t> groups;  // any key of the row's list; rows of one list need not stand together
};

struct GradedResult {
  MetricValue ndcg, map, mrr;  // means over the lists with a grade above 0; "ndcg@10" or, for k = 0, "ndcg"
  int64_t groups = 0;          // of them
  int64_t skipped_groups = 0;  // lists without a grade above 0
};

// The interval resamples lists. The same bits for any order of lists and number of threads (rows of a list keep their
// order). ShapeError on unequal lengths; DataError naming the row on a NaN score or a grade out of range; ConfigError
// on k < 0.
GradedResult evaluate_graded(const GradedRows& rows, const NdcgOptions& options = {},
                             const BootstrapOptions& bootstrap = {});

}  // namespace winnow
