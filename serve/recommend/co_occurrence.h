// Item-to-item collaborative filtering: what was taken by the same people.
//
// Linden, Smith and York 2003, "Amazon.com recommendations: item-to-item collaborative filtering"; Deshpande and
// Karypis 2004, "Item-based top-N recommendation algorithms". With histories H_u of distinct items and weights w_u,
//   c_ij = sum over users with i and j in H_u of w_u 2^(-|t_ui - t_uj| / pair half-life),
//   n_i = sum over users with i in H_u of w_u,  W = sum over users of w_u,
//   cosine       c_ij / sqrt(n_i n_j)
//   conditional  c_ij / (n_i n_j^alpha): P(j | i), damped where j is popular (Deshpande and Karypis, section 4.2)
//   lift         c_ij W / (n_i n_j)
// each times c_ij / (c_ij + shrinkage) (Bell and Koren 2007, "Improved neighborhood-based collaborative filtering"):
// few common users say little. w_u = 1, or with inverse_user_frequency log((1 + users) / (1 + |H_u|)): who takes
// everything says little too (Breese, Heckerman and Kadie 1998, "Empirical analysis of predictive algorithms").
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "serve/recommend/candidates.h"
#include "serve/recommend/interactions.h"

namespace winnow {

struct CoOccurrenceOptions {
  enum Weight : uint8_t { Cosine, Conditional, Lift } weight = Conditional;
  double alpha = 0.5;
  double shrinkage = 10;
  bool inverse_user_frequency = true;
  double pair_half_life_days = 0;  // 0: however far apart
  int64_t neighbours = 200;        // of an item that are kept
  int64_t most_history = 500;      // the latest items of a user that count: a robot's thousands would cost their square
};

// The `neighbours` best of each item, best first, equal ones by item: 8 bytes each. Time sum of |H_u|^2, shared by all
// threads; the same bits for any number of them.
class ItemNeighbours {
 public:
  ItemNeighbours(const Interactions& interactions, const CoOccurrenceOptions& options);
  int64_t items() const { return static_cast<int64_t>(begin_.size()) - 1; }
  std::span<const int32_t> of(int64_t item) const { return range(items_, item); }
  std::span<const float> weights(int64_t item) const { return range(weights_, item); }

 private:
  template <class T>
  std::span<const T> range(const std::vector<T>& all, int64_t item) const {
    const auto i = static_cast<size_t>(item);
    return std::span(all).subspan(static_cast<size_t>(begin_[i]), static_cast<size_t>(begin_[i + 1] - begin_[i]));
  }
  std::vector<int64_t> begin_;
  std::vector<int32_t> items_;
  std::vector<float> weights_;
};

// How much the entries of a history count: the last `most` distinct items, each 2^(-age / half-life).
struct HistoryWeights {
  int64_t most = 50;
  double half_life_days = 0;  // 0: all alike
};
// 1 at `now` and after it.
double decay(int64_t time, int64_t now, double half_life_days);
// Distinct items, latest first, with their weights; both are overwritten.
void weigh_history(const CandidateRequest& request, const HistoryWeights& options, std::vector<int64_t>& items,
                   std::vector<float>& weights);

// score(j) = sum over the history's items i of weight_i w_ij; the reason is the largest summand's item.
class CoOccurrenceSource final : public CandidateSource {
 public:
  CoOccurrenceSource(std::shared_ptr<const ItemNeighbours> neighbours, HistoryWeights history);
  std::string_view name() const override { return "co_occurrence"; }
  void candidates(const CandidateRequest& request, int64_t limit, std::vector<Candidate>& out) const override;

 private:
  std::shared_ptr<const ItemNeighbours> neighbours_;
  HistoryWeights history_;
};

}  // namespace winnow
