// From a ranked list to one that does not say the same thing ten times.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace winnow {

// In [0, 1]; of positions of the list; 1 of a position with itself.
using PairSimilarity = std::function<double(int64_t a, int64_t b)>;

struct RerankScratch {
  std::vector<double> best, value, row;
  std::vector<char> taken;
};

// Maximal marginal relevance (Carbonell and Goldstein 1998, "The use of MMR"): `order` is overwritten with at most k
// positions, each the one left over with the largest
//   (1 - weight) relevance_i - weight max over those chosen of similarity(i, j),
// equal ones by position. relevance: in [0, 1]. weight 0: by relevance. k |relevance| similarities.
void mmr(std::span<const double> relevance, const PairSimilarity& similarity, double weight, int64_t k,
         std::vector<int64_t>& order, RerankScratch& scratch);

// Greedy MAP of a determinantal point process (Chen, Zhang and Zhou 2018, "Fast greedy MAP inference for DPP",
// algorithm 1): each position chosen is the one that raises most
//   log det L over those chosen,  L_ij = q_i q_j similarity(i, j),  q_i = exp(relevance_i theta / (2 (1 - theta))),
// theta = 1 - weight (their equation 16), weight in (0, 1]. Stops short of k where what is left over repeats what was
// chosen (its determinant falls below 1e-10); the rest then follows by relevance. similarity must be positive
// semi-definite: cosines are, so is Jaccard's index. O(k^2 |relevance|).
void greedy_dpp(std::span<const double> relevance, const PairSimilarity& similarity, double weight, int64_t k,
                std::vector<int64_t>& order, RerankScratch& scratch);

// x by its range to [0, 1]; all 1 where they are equal.
void to_unit_range(std::span<double> x);

}  // namespace winnow
