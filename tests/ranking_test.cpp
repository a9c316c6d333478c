#include "train/ranking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/parallel.h"
#include "core/rng.h"
#include "tests/error_text.h"
#include "train/metrics_binary.h"

namespace winnow {
namespace {

double at(const RankingResult& result, const char* name) { return *find_metric(result.metrics, name)->value; }

// 4 users, 6 items. User 0: top is 2, 1, 0...; user 3 has no positives.
struct Small {
  std::vector<float> scores = {.1f, .2f, .9f, .05f, .04f, .03f,  // user 0
                               .5f, .5f, .5f, .5f,  .5f,  .5f,   // user 1: ties, ranked 0 1 2 ...
                               .9f, .8f, .7f, .6f,  .5f,  .4f,   // user 2: 0 and 1 are seen
                               .1f, .1f, .1f, .1f,  .1f,  .9f};  // user 3
  std::vector<int64_t> positive_offsets = {0, 2, 3, 6, 6}, positives = {1, 3, 1, 2, 5, 0};
  std::vector<int64_t> seen_offsets = {0, 0, 0, 2, 2}, seen = {1, 0};
  RankingProblem problem() const {
    return {.users = 4, .items = 6, .positives = {positive_offsets, positives}, .seen = {seen_offsets, seen}};
  }
};

TEST(Ranking, HandValues) {
  const Small s;
  const auto r = evaluate_ranking(s.problem(), score_matrix(s.scores, 6), {.ks = {1, 2}});
  EXPECT_EQ(r.users, 3);
  EXPECT_EQ(r.skipped_users, 1);
  EXPECT_EQ(r.unrankable_positives, 1);  // item 0 of user 2 was seen
  // top 2: user 0 {2, 1} hits 1 at rank 2 of 2 positives; user 1 {0, 1} hits at rank 2 of 1; user 2 {2, 3} at rank 1 of
  // 2
  const double second = 1 / std::log2(3.0);
  EXPECT_DOUBLE_EQ(at(r, "hr@1"), 1.0 / 3);
  EXPECT_DOUBLE_EQ(at(r, "hr@2"), 1.0);
  EXPECT_DOUBLE_EQ(at(r, "recall@2"), (0.5 + 1 + 0.5) / 3);
  EXPECT_DOUBLE_EQ(at(r, "precision@2"), 0.5);
  EXPECT_DOUBLE_EQ(at(r, "mrr@2"), (0.5 + 0.5 + 1) / 3);
  EXPECT_DOUBLE_EQ(at(r, "ndcg@1"), 1.0 / 3);
  EXPECT_DOUBLE_EQ(at(r, "ndcg@2"), (second / (1 + second) + second + 1 / (1 + second)) / 3);
  EXPECT_DOUBLE_EQ(at(r, "coverage@1"), 2.0 / 6);  // 2, 0, 2
  EXPECT_DOUBLE_EQ(at(r, "coverage@2"), 4.0 / 6);  // 0 1 2 3
  const MetricValue* ndcg = find_metric(r.metrics, "ndcg@2");
  EXPECT_LE(ndcg->low, *ndcg->value);
  EXPECT_GE(ndcg->high, *ndcg->value);
}

TEST(Ranking, ItemsNotForRankingAreNeitherShownNorExpected) {
  const Small s;
  RankingProblem p = s.problem();
  const std::vector<int64_t> padding = {2};
  p.not_for_ranking = padding;
  const auto r = evaluate_ranking(p, score_matrix(s.scores, 6), {.ks = {1}});
  EXPECT_EQ(r.unrankable_positives, 2);
  EXPECT_DOUBLE_EQ(at(r, "hr@1"), 1.0 / 3);  // user 0 now gets item 1
  EXPECT_DOUBLE_EQ(at(r, "coverage@1"), 3.0 / 5);
}

TEST(Ranking, TopItemsEqualsAFullSortWithTiesByLowerId) {
  Rng rng(3);
  std::vector<int64_t> top;
  for (int n : {1, 2, 7, 500}) {
    std::vector<float> scores(static_cast<size_t>(n));
    for (float& x : scores) x = static_cast<float>(rng.below(20));
    std::vector<int64_t> all(scores.size());
    std::iota(all.begin(), all.end(), 0);
    std::stable_sort(all.begin(), all.end(), [&](int64_t a, int64_t b) {
      return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
    });
    for (int k : {1, 3, n}) {
      top_items(scores, k, top);
      const auto expected = std::vector<int64_t>(all.begin(), all.begin() + std::min(k, n));
      EXPECT_EQ(top, expected) << n << " items, k " << k;
    }
  }
  const std::vector<float> excluded = {-std::numeric_limits<float>::infinity(), 1,
                                       -std::numeric_limits<float>::infinity()};
  top_items(excluded, 3, top);
  EXPECT_EQ(top, std::vector<int64_t>{1});
}

TEST(Ranking, SameBitsForAnyThreadsBatchAndUserOrder) {
  constexpr int64_t kUsers = 101, kItems = 37;
  Rng rng(12);
  std::vector<float> scores(kUsers * kItems), reversed(scores.size());
  std::vector<int64_t> offsets = {0}, positives, back_offsets = {0}, back_positives;
  for (float& x : scores) x = static_cast<float>(rng.below(9));
  for (int64_t u = 0; u < kUsers; ++u) {
    for (uint64_t i = rng.below(5); i > 0; --i) positives.push_back(static_cast<int64_t>(rng.below(kItems)));
    offsets.push_back(static_cast<int64_t>(positives.size()));
  }
  for (int64_t u = kUsers - 1; u >= 0; --u) {
    std::copy_n(scores.begin() + u * kItems, kItems, reversed.begin() + (kUsers - 1 - u) * kItems);
    back_positives.insert(back_positives.end(), positives.begin() + offsets[u], positives.begin() + offsets[u + 1]);
    back_offsets.push_back(static_cast<int64_t>(back_positives.size()));
  }
  const RankingProblem p{.users = kUsers, .items = kItems, .positives = {offsets, positives}};
  const RankingProblem q{.users = kUsers, .items = kItems, .positives = {back_offsets, back_positives}};
  const auto expected = evaluate_ranking(p, score_matrix(scores, kItems), {.ks = {5, 10}});
  const int before = num_threads();
  for (int threads : {1, 2, 3, 7}) {
    set_num_threads(threads);
    const auto r = evaluate_ranking(q, score_matrix(reversed, kItems), {.ks = {5, 10}, .users_per_call = 10 * threads});
    ASSERT_EQ(r.metrics.size(), expected.metrics.size());
    for (size_t i = 0; i < r.metrics.size(); ++i) {
      EXPECT_EQ(*r.metrics[i].value, *expected.metrics[i].value) << r.metrics[i].name;
      if (!std::isnan(expected.metrics[i].low)) { EXPECT_EQ(r.metrics[i].low, expected.metrics[i].low); }
    }
  }
  set_num_threads(before);
}

TEST(Ranking, PopularityScoresRankTheSameForEverybody) {
  const Small s;
  const std::vector<float> counts = {0, 5, 0, 9, 1, 0};
  const auto r = evaluate_ranking(s.problem(), score_items(counts), {.ks = {1}});
  EXPECT_DOUBLE_EQ(at(r, "hr@1"), 1.0 / 3);  // item 3 for all: user 0 has it
  EXPECT_DOUBLE_EQ(at(r, "coverage@1"), 1.0 / 6);
}

TEST(Ranking, ErrorsNameWhatIsWrong) {
  Small s;
  const auto run = [&] { evaluate_ranking(s.problem(), score_matrix(s.scores, 6), {.ks = {2}}); };
  s.scores[6 + 4] = std::nanf("");
  EXPECT_EQ(text_of<DataError>(run), "ranking: user 1: the score of item 4 is NaN");
  s = Small{};
  s.scores[2 * 6] = std::nanf("");  // a seen item: its score is not used
  EXPECT_EQ(text_of<DataError>(run), "no error");
  s.positives[2] = 6;
  EXPECT_EQ(text_of<DataError>(run), "ranking: positives position 2: item 6 is not in [0, 6)");
  s = Small{};
  s.seen_offsets.pop_back();
  EXPECT_EQ(text_of<DataError>(run), "ranking: seen needs 5 offsets rising from 0 to 2, got 4");
  s = Small{};
  EXPECT_EQ(text_of<ConfigError>([&] { evaluate_ranking(s.problem(), score_matrix(s.scores, 6), {.ks = {7}}); }),
            "ranking: k = 7 must be between 1 and the 6 items");
  const auto none = evaluate_ranking({.users = 3, .items = 2}, score_items({}), {.ks = {1}});
  EXPECT_EQ(none.metrics[0].str(), "hr@1 undefined: no user has a positive that may be ranked");
}

TEST(Ranking, MapGiniNoveltyAndDiversityHandValues) {
  const Small s;
  RankingProblem problem = s.problem();
  const std::vector<double> counts = {7, 3, 1, 0, 0, 3};  // 14 in all, + 6 items
  const std::vector<int64_t> offsets = {0, 2, 3, 5, 5, 6, 6}, categories = {1, 2, 2, 2, 3, 9};
  problem.item_counts = counts;
  problem.item_categories = {offsets, categories};
  const auto r = evaluate_ranking(problem, score_matrix(s.scores, 6), {.ks = {2}});
  // top 2 and hits: {2, 1} second of 2 positives; {0, 1} second of 1; {2, 3} first of 2
  EXPECT_DOUBLE_EQ(at(r, "map@2"), (0.5 / 2 + 0.5 / 1 + 1.0 / 2) / 3);
  // shown: 0 once, 1 twice, 2 twice, 3 once, 4 and 5 never
  EXPECT_DOUBLE_EQ(at(r, "gini@2"), (1 * 1 + -1 * 1 + 3 * 2 + 5 * 2.0) / (6 * 6));
  const auto information = [](double count) { return -std::log2((count + 1) / 20); };
  EXPECT_NEAR(at(r, "novelty@2"),
              (information(1) + information(3) + information(7) + information(3) + information(1) + information(0)) / 6,
              1e-14);
  // {2 3} and {2}: 1 of 2 common; {1 2} and {2}: 1 of 2; item 3 has no category, so the list of user 2 has no pair
  EXPECT_DOUBLE_EQ(at(r, "diversity@2"), 0.5);
}

TEST(Ranking, SampledMetricsAreOnlyThereOnRequestAndAgreeWithTheFullOnesWhenAllItemsAreDrawn) {
  Rng rng(3);
  const int64_t users = 30, items = 50;
  std::vector<float> scores;
  std::vector<int64_t> offsets = {0}, positives;
  for (int64_t u = 0; u < users; ++u) {
    for (int64_t i = 0; i < items; ++i) scores.push_back(static_cast<float>(rng.uniform()));
    positives.push_back(static_cast<int64_t>(rng.below(50)));
    offsets.push_back(u + 1);
  }
  const RankingProblem problem{.users = users, .items = items, .positives = {offsets, positives}};
  const auto full = evaluate_ranking(problem, score_matrix(scores, items), {.ks = {5}});
  EXPECT_TRUE(full.sampled.empty());
  const auto all = evaluate_ranking(problem, score_matrix(scores, items), {.ks = {5}, .sampled_negatives = 49});
  const auto sampled = [](const RankingResult& r, const char* name) { return *find_metric(r.sampled, name)->value; };
  // one positive a user against all other items: the full ranking
  EXPECT_EQ(sampled(all, "hr@5 (1+49 sampled)"), at(full, "hr@5"));
  EXPECT_DOUBLE_EQ(sampled(all, "ndcg@5 (1+49 sampled)"), at(full, "ndcg@5"));
  EXPECT_DOUBLE_EQ(sampled(all, "mrr@5 (1+49 sampled)"), at(full, "mrr@5"));
  for (size_t i = 0; i < full.metrics.size(); ++i) EXPECT_EQ(*full.metrics[i].value, *all.metrics[i].value);
  // among ten items chance alone has hr@5 = 0.5
  double hits = 0;
  for (uint64_t seed = 0; seed < 50; ++seed)
    hits += sampled(
        evaluate_ranking(problem, score_matrix(scores, items),
                         {.ks = {5}, .bootstrap = {.resamples = 0}, .sampled_negatives = 9, .sampling_seed = seed}),
        "hr@5 (1+9 sampled)");
  double expected = 0;  // P(rank among 9 of 49 drawn <= 5): hypergeometric in the full rank
  for (int64_t u = 0; u < users; ++u) {
    int64_t better = 0;
    const float own = scores[static_cast<size_t>(u * items + positives[static_cast<size_t>(u)])];
    for (int64_t i = 0; i < items; ++i) better += scores[static_cast<size_t>(u * items + i)] > own;
    const auto choose = [](int64_t n, int64_t k) {
      double c = 1;
      for (int64_t i = 0; i < k; ++i) c *= static_cast<double>(n - i) / static_cast<double>(i + 1);
      return n < k ? 0 : c;
    };
    for (int64_t above = 0; above <= 4; ++above)
      expected += choose(better, above) * choose(49 - better, 9 - above) / choose(49, 9);
  }
  EXPECT_NEAR(hits / 50, expected / static_cast<double>(users), 0.02);
}

}  // namespace
}  // namespace winnow
