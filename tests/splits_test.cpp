// data.split: what each method promises, over methods and seeds.
#include <algorithm>
#include <map>
#include <set>

#include "core/rng.h"
#include "data/detail/split_plan.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

struct Facts {
  std::vector<int32_t> user, stratum;
  std::vector<int64_t> time;
};

// n rows of some users, times with many ties in any order, three strata of unequal size.
Facts some_facts(int32_t n, uint64_t seed) {
  Rng rng(seed);
  Facts f;
  int32_t users = 0;
  for (int32_t i = 0; i < n; ++i) {
    const auto u = static_cast<int32_t>(rng.below(static_cast<uint64_t>(std::min(users + 1, n / 6 + 1))));
    users = std::max(users, u + 1);
    f.user.push_back(u);
    f.stratum.push_back(
        static_cast<int32_t>(i < 3 ? i : std::min<int32_t>(2, static_cast<int32_t>(rng.below(10)) / 3)));
    f.time.push_back(static_cast<int64_t>(rng.below(static_cast<uint64_t>(n / 4 + 1))) * 1000 - 50000);
  }
  return f;
}

// In blocks of `block` rows, as a file gives them.
std::vector<Split> plan(const Facts& f, const SplitSpec& split, uint64_t seed, size_t block = 7) {
  Schema schema;
  schema.split = split;
  schema.seed = seed;
  return detail::plan_splits(schema, [&](const auto& visit) {
    for (size_t first = 0; first < f.user.size(); first += block) {
      const size_t count = std::min(block, f.user.size() - first);
      visit({.user = std::span(f.user).subspan(first, count),
             .stratum = std::span(f.stratum).subspan(first, count),
             .time = std::span(f.time).subspan(first, count)});
    }
  });
}

int64_t count(const std::vector<Split>& splits, Split s) { return std::ranges::count(splits, s); }

TEST(Splits, ByTimeIsTheStableSort) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Facts f = some_facts(static_cast<int32_t>(40 + seed * 7), seed);
    std::vector<size_t> order(f.time.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::stable_sort(order, {}, [&](size_t i) { return f.time[i]; });
    const auto splits = plan(f, {.method = SplitSpec::Time, .train = 0.7, .valid = 0.1, .test = 0.2}, 1);
    const auto n = static_cast<double>(order.size());
    for (size_t i = 0; i < order.size(); ++i) {
      const auto at = static_cast<double>(i);
      const Split want = at < std::floor(n * 0.7 + 1e-6)   ? Split::Train
                         : at < std::floor(n * 0.8 + 1e-6) ? Split::Valid
                                                           : Split::Test;
      ASSERT_EQ(splits[order[i]], want) << "seed " << seed << ", place " << i;
    }
  }
}

TEST(Splits, DrawnOnesAreExactSeededAndUniform) {
  const Facts f = some_facts(100, 3);
  const SplitSpec random{.method = SplitSpec::Random};
  EXPECT_EQ(plan(f, random, 1), plan(f, random, 1, 100)) << "whatever the blocks";
  EXPECT_NE(plan(f, random, 1), plan(f, random, 2));
  std::vector<int> tested(100);
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const auto splits = plan(f, random, seed, 100);
    ASSERT_EQ(count(splits, Split::Train), 80);
    ASSERT_EQ(count(splits, Split::Valid), 10);
    for (size_t i = 0; i < 100; ++i) tested[i] += splits[i] == Split::Test;
  }
  // each row is in test 200 times of 2000 in expectation, deviation 13.4: six of them
  for (const int t : tested) EXPECT_NEAR(t, 200, 81);
}

TEST(Splits, StratifiedKeepsTheShareOfEachStratum) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Facts f = some_facts(300, seed);
    const auto splits = plan(f, {.method = SplitSpec::Stratified}, seed);
    for (int32_t s = 0; s < 3; ++s) {
      std::array<int64_t, 3> rows{};
      int64_t n = 0;
      for (size_t i = 0; i < splits.size(); ++i)
        if (f.stratum[i] == s) ++rows[static_cast<size_t>(splits[i])], ++n;
      EXPECT_NEAR(static_cast<double>(rows[0]), 0.8 * static_cast<double>(n), 0.5001);
      EXPECT_NEAR(static_cast<double>(rows[2]), 0.1 * static_cast<double>(n), 0.5001);
    }
  }
}

TEST(Splits, LeaveLastOutTakesTheTwoLatestOfEachUser) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Facts f = some_facts(120, seed);
    const auto splits = plan(f, {.method = SplitSpec::LeaveLastOut}, seed);
    std::map<int32_t, std::vector<std::pair<int64_t, size_t>>> rows;
    for (size_t i = 0; i < f.user.size(); ++i) rows[f.user[i]].emplace_back(f.time[i], i);
    for (auto& [user, list] : rows) {
      std::ranges::sort(list);
      for (size_t k = 0; k < list.size(); ++k) {
        const Split want = list.size() < 3        ? Split::Train
                           : k + 1 == list.size() ? Split::Test
                           : k + 2 == list.size() ? Split::Valid
                                                  : Split::Train;
        ASSERT_EQ(splits[list[k].second], want) << "user " << user;
      }
    }
  }
}

TEST(Splits, ByUserNeverDividesOne) {
  const Facts f = some_facts(600, 4);
  const auto splits = plan(f, {.method = SplitSpec::User}, 4);
  std::map<int32_t, std::set<Split>> of_user;
  for (size_t i = 0; i < splits.size(); ++i) of_user[f.user[i]].insert(splits[i]);
  std::array<size_t, 3> users{};
  for (const auto& [user, set] : of_user) {
    ASSERT_EQ(set.size(), 1u);
    ++users[static_cast<size_t>(*set.begin())];
  }
  EXPECT_EQ(users[0], static_cast<size_t>(0.8 * static_cast<double>(of_user.size()) + 1e-6));
}

TEST(Splits, FoldsShareTheTestSplitAndCoverTheRest) {
  const Facts f = some_facts(203, 5);
  for (const bool by_time : {true, false}) {
    std::vector<int> validated(f.user.size());
    std::vector<Split> first;
    for (int64_t fold = 0; fold < 5; ++fold) {
      const auto splits =
          plan(f, {.method = SplitSpec::KFold, .test = 0.2, .folds = 5, .fold = fold, .test_by_time = by_time}, 9);
      if (fold == 0) first = splits;
      for (size_t i = 0; i < splits.size(); ++i) {
        ASSERT_EQ(splits[i] == Split::Test, first[i] == Split::Test);
        validated[i] += splits[i] == Split::Valid;
      }
      EXPECT_NEAR(static_cast<double>(count(splits, Split::Valid)), 162 / 5.0, 1);
    }
    int64_t latest_kept = INT64_MIN, earliest_test = INT64_MAX;
    for (size_t i = 0; i < first.size(); ++i) {
      EXPECT_EQ(validated[i], first[i] == Split::Test ? 0 : 1);
      if (first[i] == Split::Test)
        earliest_test = std::min(earliest_test, f.time[i]);
      else
        latest_kept = std::max(latest_kept, f.time[i]);
    }
    EXPECT_EQ(count(first, Split::Test), 41);
    if (by_time) { EXPECT_LE(latest_kept, earliest_test); }
  }
}

TEST(Splits, EmptyOnesAreErrorsThatSayWhy) {
  const auto error = [](const SplitSpec& split, int32_t rows) {
    try {
      plan(some_facts(rows, 1), split, 1);
    } catch (const DataError& e) { return std::string(e.what()); }
    return std::string("no error");
  };
  EXPECT_NE(error({.method = SplitSpec::LeaveLastOut}, 2).find("no user has 3 or more"), std::string::npos);
  EXPECT_NE(error({.method = SplitSpec::Random}, 5).find("the valid split is empty: 5 interactions"),
            std::string::npos);
  EXPECT_NE(error({.method = SplitSpec::KFold, .test = 0.1, .folds = 500}, 100).find("500 folds"), std::string::npos);
}

TEST(Splits, ConfigKeysMeanSomethingOnlyWhereTheyStand) {
  const auto error = [](const std::string& split) {
    try {
      schema_of(replaced(kSmallShop, "split: {train: 0.6, valid: 0.2, test: 0.2}", "split: " + split), "");
    } catch (const ConfigError& e) { return std::string(e.what()); }
    return std::string("no error");
  };
  EXPECT_EQ(error("{method: kfold, folds: 3, fold: 2}"), "no error");
  EXPECT_EQ(error("{method: leave_last_out}"), "no error");
  EXPECT_NE(error("{method: leave_last_out, train: 0.8}").find("unknown key"), std::string::npos);
  EXPECT_NE(error("{method: random, by: user}").find("unknown key"), std::string::npos);
  EXPECT_NE(error("{method: kfold, folds: 3, fold: 3}").find("fold 3 must be 0 to 2"), std::string::npos);
  EXPECT_NE(error("{method: kfold, train: 0.5}").find("unknown key"), std::string::npos);
}

}  // namespace
}  // namespace winnow
