// What is taken most, lately or in a category, and what is new.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "serve/recommend/candidates.h"
#include "serve/recommend/interactions.h"
#include "serve/recommend/item_values.h"

namespace winnow {

// p_i = sum over the interactions of item i of 2^(-(latest - t) / half-life); half_life_days 0: their number. In
// double, summed in the order of the users.
std::vector<double> popularity(const Interactions& interactions, double half_life_days);

// The items by falling popularity, equal ones by number; those with 0 are left out.
class PopularSource final : public CandidateSource {
 public:
  explicit PopularSource(const std::vector<double>& popularity);
  std::string_view name() const override { return "popular"; }
  void candidates(const CandidateRequest& request, int64_t limit, std::vector<Candidate>& out) const override;

 private:
  std::vector<int32_t> order_;
  std::vector<float> score_;  // like order_
};

// The most popular items of the values (genres, brands) that the user takes most: of value v the share of the history
// that has it times its lift, s_v = (h_v / |H|) (h_v / |H|) / (c_v / C), c_v and C from all items' popularity; from the
// best three values, in turn.
class PopularInSource final : public CandidateSource {
 public:
  // feature: of `values`, which must outlive the source.
  PopularInSource(const std::vector<double>& popularity, const ItemValues& values, size_t feature, int64_t most = 1000);
  std::string_view name() const override { return "popular_in"; }
  void candidates(const CandidateRequest& request, int64_t limit, std::vector<Candidate>& out) const override;

 private:
  const ItemValues& values_;
  size_t feature_;
  std::vector<double> share_;                     // of each value, c_v / C
  std::vector<std::vector<Candidate>> of_value_;  // the `most` best
};

// Items first taken in the last `days` before `now`, latest first; then those that nobody has taken yet, by number.
// Without timestamps the latter alone.
class NewSource final : public CandidateSource {
 public:
  NewSource(std::vector<int64_t> first_time, double days);
  std::string_view name() const override { return "new"; }
  // Whether the item may be named; now 0: the latest first time of all items.
  bool is_new(int64_t item, int64_t now) const;
  void candidates(const CandidateRequest& request, int64_t limit, std::vector<Candidate>& out) const override;

 private:
  int64_t since(int64_t now) const;
  std::vector<int64_t> first_time_;  // 0: never taken
  std::vector<int32_t> order_;
  int64_t seconds_, latest_ = 0;
};
std::vector<int64_t> first_times(const Catalogue& catalogue);

}  // namespace winnow
