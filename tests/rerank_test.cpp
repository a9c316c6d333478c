// Re-ranking: MMR and the greedy DPP against their definitions, rules against what they promise, fusion by hand.
#include "serve/recommend/rerank.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "core/error.h"
#include "core/rng.h"
#include "serve/recommend/fusion.h"
#include "serve/recommend/rules.h"

namespace winnow {
namespace {

struct Problem {
  std::vector<double> relevance;
  std::vector<std::vector<double>> vectors;
  PairSimilarity similarity() const {
    return [this](int64_t a, int64_t b) {
      if (a == b) return 1.0;
      const auto &x = vectors[static_cast<size_t>(a)], &y = vectors[static_cast<size_t>(b)];
      return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
    };
  }
};

// Vectors of length 1 with positive elements: similarities in [0, 1].
Problem random_problem(size_t n, size_t width, uint64_t seed) {
  Rng rng(seed, 4);
  Problem p;
  for (size_t i = 0; i < n; ++i) {
    p.relevance.push_back(rng.uniform());
    auto& v = p.vectors.emplace_back();
    double length = 0;
    for (size_t d = 0; d < width; ++d) {
      v.push_back(rng.uniform());
      length += v.back() * v.back();
    }
    for (double& x : v) x /= std::sqrt(length);
  }
  return p;
}

TEST(Mmr, TakesTheLargestMarginalRelevanceEachTime) {
  const Problem p = random_problem(30, 3, 1);
  const PairSimilarity similarity = p.similarity();
  RerankScratch scratch;
  for (const double weight : {0.0, 0.3, 0.8, 1.0}) {
    std::vector<int64_t> order, expected;
    mmr(p.relevance, similarity, weight, 12, order, scratch);
    while (expected.size() < 12) {
      int64_t best = -1;
      double value = 0;
      for (int64_t i = 0; i < 30; ++i) {
        if (std::ranges::find(expected, i) != expected.end()) continue;
        double nearest = 0;
        for (const int64_t j : expected) nearest = std::max(nearest, similarity(i, j));
        const double v = (1 - weight) * p.relevance[static_cast<size_t>(i)] - weight * nearest;
        if (best < 0 || v > value) best = i, value = v;
      }
      expected.push_back(best);
    }
    EXPECT_EQ(order, expected) << weight;
  }
  std::vector<int64_t> all;
  mmr(p.relevance, similarity, 0.5, 1000, all, scratch);
  EXPECT_EQ(std::set<int64_t>(all.begin(), all.end()).size(), 30u);
  EXPECT_THROW(mmr(p.relevance, similarity, 1.5, 3, all, scratch), ConfigError);
}

double determinant(std::vector<std::vector<double>> m) {
  double det = 1;
  for (size_t c = 0; c < m.size(); ++c) {
    size_t pivot = c;
    for (size_t r = c; r < m.size(); ++r)
      if (std::abs(m[r][c]) > std::abs(m[pivot][c])) pivot = r;
    if (m[pivot][c] == 0) return 0;
    if (pivot != c) std::swap(m[pivot], m[c]), det = -det;
    det *= m[c][c];
    for (size_t r = c + 1; r < m.size(); ++r) {
      const double factor = m[r][c] / m[c][c];
      for (size_t k = c; k < m.size(); ++k) m[r][k] -= factor * m[c][k];
    }
  }
  return det;
}

TEST(GreedyDpp, TakesTheLargestDeterminantEachTime) {
  const Problem p = random_problem(18, 8, 2);
  const PairSimilarity similarity = p.similarity();
  RerankScratch scratch;
  for (const double weight : {0.2, 0.5, 0.9, 1.0}) {
    const double theta = 1 - weight;
    const auto q = [&](int64_t i) { return std::exp(p.relevance[static_cast<size_t>(i)] * theta / (2 * (1 - theta))); };
    std::vector<int64_t> order, expected;
    greedy_dpp(p.relevance, similarity, weight, 7, order, scratch);
    while (expected.size() < 7) {
      int64_t best = -1;
      double value = 0;
      for (int64_t i = 0; i < 18; ++i) {
        if (std::ranges::find(expected, i) != expected.end()) continue;
        std::vector<int64_t> chosen = expected;
        chosen.push_back(i);
        std::vector<std::vector<double>> l;
        for (const int64_t a : chosen) {
          auto& row = l.emplace_back();
          for (const int64_t b : chosen) row.push_back(q(a) * q(b) * similarity(a, b));
        }
        if (const double v = determinant(l); best < 0 || v > value) best = i, value = v;
      }
      expected.push_back(best);
    }
    EXPECT_EQ(order, expected) << weight;
  }
  std::vector<int64_t> none;
  EXPECT_THROW(greedy_dpp(p.relevance, similarity, 0, 3, none, scratch), ConfigError);
}

TEST(GreedyDpp, RepeatsFollowByRelevanceOnceEveryDirectionIsTaken) {
  // three pairs of equal vectors in three directions
  Problem p;
  p.relevance = {0.1, 0.9, 0.5, 0.4, 0.8, 0.2};
  for (const size_t d : {0, 0, 1, 1, 2, 2}) {
    p.vectors.emplace_back(3);
    p.vectors.back()[d] = 1;
  }
  RerankScratch scratch;
  std::vector<int64_t> order;
  greedy_dpp(p.relevance, p.similarity(), 0.5, 6, order, scratch);
  EXPECT_EQ(order, (std::vector<int64_t>{1, 4, 2, 3, 5, 0}));
}

TEST(Rerank, ScalesToTheUnitRange) {
  std::vector<double> x = {3, 1, 2}, same = {4, 4};
  to_unit_range(x);
  to_unit_range(same);
  EXPECT_EQ(x, (std::vector<double>{1, 0, 0.5}));
  EXPECT_EQ(same, (std::vector<double>{1, 1}));
}

class ArrangeTest : public ::testing::Test {
 protected:
  // items 0 .. 11: a a a a b b c c a b new new
  ItemValues values_{12,
                     {{"kind", {{"a"}, {"a"}, {"a"}, {"a"}, {"b"}, {"b"}, {"c"}, {"c"}, {"a"}, {"b"}, {"a"}, {"b"}}}}};
  std::vector<int64_t> ranked_ = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, order_;
  Arrangement arrangement(int64_t k) {
    return {.ranked = ranked_, .k = k, .values = &values_, .is_new = [](int64_t i) { return i >= 10; }};
  }
};

TEST_F(ArrangeTest, WithoutRulesTheBestComeFirst) {
  arrange(arrangement(4), order_);
  EXPECT_EQ(order_, (std::vector<int64_t>{0, 1, 2, 3}));
  arrange(arrangement(100), order_);
  EXPECT_EQ(order_, ranked_);
}

TEST_F(ArrangeTest, LimitsHoldAmongTheFirstAndGiveWayRatherThanShorten) {
  const Arrangement::Limit limits[] = {{0, 2, 6}};
  Arrangement a = arrangement(9);
  a.limits = limits;
  arrange(a, order_);
  EXPECT_EQ(order_, (std::vector<int64_t>{0, 1, 4, 5, 6, 7, 2, 3, 8}));
  // only 6 of three kinds fit twice; the limit over all places is given up for the rest
  const Arrangement::Limit tight[] = {{0, 1, 12}};
  a.limits = tight;
  arrange(a, order_);
  EXPECT_EQ(order_, (std::vector<int64_t>{0, 4, 6, 1, 2, 3, 5, 7, 8}));
}

TEST_F(ArrangeTest, PinnedItemsStandAtTheirPlacesAndCountForLimits) {
  const Arrangement::Pin pins[] = {{9, 0}, {7, 2}, {8, 50}};
  const Arrangement::Limit limits[] = {{0, 1, 5}};
  Arrangement a = arrangement(5);
  a.pinned = pins;
  arrange(a, order_);
  EXPECT_EQ(order_, (std::vector<int64_t>{9, 0, 7, 1, 8}));
  a.limits = limits;  // b, c and a are taken by the pins: the limit gives way, best first
  arrange(a, order_);
  EXPECT_EQ(order_, (std::vector<int64_t>{9, 0, 7, 1, 8}));
  const Arrangement::Pin one[] = {{9, 1}};
  a.pinned = one;
  arrange(a, order_);
  EXPECT_EQ(order_, (std::vector<int64_t>{0, 9, 6, 1, 2}));
}

TEST_F(ArrangeTest, AShareOfTheFirstIsNewAsFarAsThereIsAny) {
  Arrangement a = arrangement(5);
  a.new_share = {0.3, 5};
  arrange(a, order_);  // ceil(1.5) = 2 of 5
  EXPECT_EQ(order_, (std::vector<int64_t>{0, 1, 2, 10, 11}));
  a.new_share = {1.0, 5};
  arrange(a, order_);
  EXPECT_EQ(order_, (std::vector<int64_t>{10, 11, 0, 1, 2}));
  const Arrangement::Pin pins[] = {{11, 0}};
  a.pinned = pins;
  a.new_share = {0.3, 5};
  arrange(a, order_);
  EXPECT_EQ(order_, (std::vector<int64_t>{11, 0, 1, 2, 10}));
}

TEST(Fusion, AddsReciprocalRanksOrScaledScores) {
  const std::vector<std::vector<RankedItem>> lists = {{{7, 9}, {3, 5}, {4, 1}}, {{3, 0.9}, {8, 0.8}}};
  const double weights[] = {1, 2};
  std::vector<RankedItem> out;
  fuse(lists, weights, {}, out);
  ASSERT_EQ(out.size(), 4u);
  EXPECT_EQ(out[0], (RankedItem{3, 1 / 62.0 + 2 * (1 / 61.0)}));
  EXPECT_EQ(out[1], (RankedItem{8, 2 / 62.0}));
  EXPECT_EQ(out[2], (RankedItem{7, 1 / 61.0}));
  EXPECT_EQ(out[3], (RankedItem{4, 1 / 63.0}));
  fuse(lists, weights, {FusionOptions::Weighted}, out);
  EXPECT_EQ(out, (std::vector<RankedItem>{{3, 2.5}, {7, 1}, {4, 0}, {8, 0}}));
  const std::vector<std::vector<RankedItem>> one = {{{5, 3}}, {}};
  fuse(one, weights, {FusionOptions::Weighted}, out);
  EXPECT_EQ(out, (std::vector<RankedItem>{{5, 1}}));
  EXPECT_THROW(fuse(one, std::vector<double>{1}, {}, out), ShapeError);
}

}  // namespace
}  // namespace winnow
