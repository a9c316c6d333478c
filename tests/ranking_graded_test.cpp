#include "train/ranking_graded.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/error_text.h"

namespace winnow {
namespace {

TEST(GradedRanking, AveragedTiesAreTheMeanOverTheirOrders) {
  const std::vector<float> scores = {2, 1, 1, 1, 0}, grades = {0, 3, 1, 0, 2};
  for (const int64_t k : {0, 1, 2, 3, 4}) {
    double sum = 0;
    int orders = 0;
    std::vector<size_t> tied = {1, 2, 3};
    do {
      std::vector<float> g = {grades[0], grades[tied[0]], grades[tied[1]], grades[tied[2]], grades[4]};
      sum += *ndcg(scores, g, {.k = k, .ties = Ties::ByOrder});
      ++orders;
    } while (std::ranges::next_permutation(tied).found);
    ASSERT_EQ(orders, 6);
    EXPECT_NEAR(*ndcg(scores, grades, {.k = k}), sum / orders, 1e-15) << k;
  }
}

TEST(GradedRanking, HandValues) {
  const std::vector<float> scores = {3, 2, 1}, grades = {1, 0, 3};
  const double third = 1 / std::log2(4.0), second = 1 / std::log2(3.0);
  EXPECT_DOUBLE_EQ(*ndcg(scores, grades), (1 + 3 * third) / (3 + second));
  EXPECT_DOUBLE_EQ(*ndcg(scores, grades, {.gain = Gain::Exponential}), (1 + 7 * third) / (7 + second));
  EXPECT_DOUBLE_EQ(*ndcg(scores, grades, {.k = 1}), 1.0 / 3);
  EXPECT_DOUBLE_EQ(*average_precision_at(scores, grades), (1 + 2.0 / 3) / 2);
  EXPECT_DOUBLE_EQ(*average_precision_at(scores, grades, 1), 1);
  EXPECT_DOUBLE_EQ(*average_precision_at(scores, grades, 2), 0.5);  // one of min(2, 2) relevant rows is found
}

TEST(GradedRanking, ReciprocalRankOfTheFirstRelevantRow) {
  const std::vector<float> scores = {3, 2, 1, 0}, grades = {0, 0, 2, 1};
  EXPECT_DOUBLE_EQ(*reciprocal_rank_at(scores, grades), 1.0 / 3);
  EXPECT_DOUBLE_EQ(*reciprocal_rank_at(scores, grades, 3), 1.0 / 3);
  EXPECT_DOUBLE_EQ(*reciprocal_rank_at(scores, grades, 2), 0);
  EXPECT_FALSE(reciprocal_rank_at(scores, std::vector<float>(4)));
  const std::vector<float> two_scores = {3, 2, 1, 0, 5, 9}, two_grades = {0, 0, 2, 1, 1, 0};
  const GradedResult both = evaluate_graded({two_scores, two_grades, std::vector<int64_t>{0, 0, 0, 0, 1, 1}});
  EXPECT_DOUBLE_EQ(*both.mrr.value, (1.0 / 3 + 1.0 / 2) / 2);
  EXPECT_EQ(both.mrr.name, "mrr");
}

TEST(GradedRanking, ListsWithoutAGradeAreSkippedAndCounted) {
  const std::vector<float> scores = {1, 2, 1, 2, 5}, grades = {1, 0, 0, 0, 4};
  const std::vector<int64_t> groups = {7, 7, -3, -3, 9};
  const GradedResult r = evaluate_graded({scores, grades, groups});
  EXPECT_EQ(r.groups, 2);
  EXPECT_EQ(r.skipped_groups, 1);
  EXPECT_DOUBLE_EQ(*r.ndcg.value, (1 / std::log2(3.0) + 1) / 2);
  EXPECT_LE(r.ndcg.low, *r.ndcg.value);
  EXPECT_EQ(r.ndcg.name, "ndcg");
  const std::vector<float> none(5);
  const GradedResult empty = evaluate_graded({scores, none, groups}, {.k = 3});
  EXPECT_EQ(empty.ndcg.str(), "ndcg@3 undefined: no list has a grade above 0");
  EXPECT_FALSE(ndcg(scores, none));
}

TEST(GradedRanking, RowsOfAListNeedNotStandTogether) {
  const std::vector<float> scores = {1, 5, 2, 4, 3, 3}, grades = {1, 0, 0, 2, 3, 1};
  const std::vector<int64_t> groups = {0, 1, 0, 1, 0, 1};
  const std::vector<float> scores2 = {5, 4, 3, 1, 2, 3}, grades2 = {0, 2, 1, 1, 0, 3};
  const std::vector<int64_t> groups2 = {4, 4, 4, 0, 0, 0};
  const GradedResult a = evaluate_graded({scores, grades, groups}), b = evaluate_graded({scores2, grades2, groups2});
  EXPECT_EQ(*a.ndcg.value, *b.ndcg.value);
  EXPECT_EQ(a.ndcg.low, b.ndcg.low);
  EXPECT_EQ(*a.map.value, *b.map.value);
}

TEST(GradedRanking, ErrorsNameTheRow) {
  const std::vector<float> scores = {1, NAN}, grades = {0, 1}, good = {1, 2}, negative = {0, -1};
  const std::vector<int64_t> groups = {0, 0};
  EXPECT_EQ(text_of<DataError>([&] { evaluate_graded({scores, grades, groups}); }), "ranking: row 1: the score is NaN");
  EXPECT_EQ(text_of<DataError>([&] {
              evaluate_graded({good, negative, groups});
            }),
            "ranking: row 1: grade -1 must be finite and not negative");
  EXPECT_EQ(text_of<ShapeError>([&] {
              evaluate_graded({good, grades, {}});
            }),
            "ranking: 2 scores with 2 grades and 0 groups; the lengths must agree");
  EXPECT_EQ(text_of<ConfigError>([&] {
              evaluate_graded({good, grades, groups}, {.k = -1});
            }),
            "ranking: k = -1 must not be negative; 0 is the whole list");
}

}  // namespace
}  // namespace winnow
