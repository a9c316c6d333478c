// How much each dimension of a search space mattered, from the trials that were run.
#pragma once
#include <span>
#include <vector>

#include "train/tune/search.h"

namespace winnow {

struct DimensionImportance {
  double share = 0;        // of the variance of the ranks of the losses that the dimension alone explains, 0 to 1
  double correlation = 0;  // Spearman's, between value and loss; 0 for choices
  int64_t trials = 0;      // in which it was set and that did not fail
};

// Kruskal and Wallis 1952 as an effect size, epsilon squared (Tomczak and Tomczak 2014): the values are cut into groups
// (a choice is one; numbers into up to 8 of equally many), share = max(0, (between - (k - 1) within / (n - k)) / total)
// over the sums of squares of the ranks, which is 0 in expectation for a dimension that does not matter. Ranks, because
// one learning rate that diverges would otherwise be all of the variance. 0 with fewer than 6 trials.
std::vector<DimensionImportance> importances(const SearchSpace& space, std::span<const Point> points,
                                             std::span<const std::optional<double>> losses);

}  // namespace winnow
