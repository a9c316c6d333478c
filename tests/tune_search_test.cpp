// The samplers of `winnow tune` on functions whose optimum is known.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>
#include <set>

#include "train/tune/importance.h"
#include "train/tune/search.h"

namespace winnow {
namespace {

SearchSpace space_of(const std::string& yaml) { return SearchSpace(Config::parse(yaml, "space.yaml")); }
using Objective = std::function<std::optional<double>(const SearchSpace&, const Point&)>;

// The trials in order, each result told as late as `lag` allows.
double least(const SearchSpace& space, SearchOptions options, const Objective& f,
             std::vector<Point>* points = nullptr) {
  Search search(space, options);
  double best = INFINITY;
  for (int64_t t = 0; t < search.trials(); ++t) {
    if (t >= options.lag) {
      const Point& p = search.point(t - options.lag);
      search.tell(t - options.lag, f(space, p));
    }
    EXPECT_TRUE(search.ready(t));
    const Point& p = search.point(t);
    best = std::min(best, f(space, p).value_or(INFINITY));
    if (points != nullptr) points->push_back(p);
  }
  return best;
}

// Branin and Hoo 1972: three minima of 0.397887.
const char* const kBranin = "x: {uniform: [-5, 10]}\ny: {uniform: [0, 15]}\n";
std::optional<double> branin(const SearchSpace&, const Point& p) {
  const double pi = std::numbers::pi, x = p[0], y = p[1];
  const double a = y - 5.1 / (4 * pi * pi) * x * x + 5 / pi * x - 6;
  return a * a + 10 * (1 - 1 / (8 * pi)) * std::cos(x) + 10;
}

// Five kinds of dimensions, the optimum 0 planted off the middle of each.
const char* const kPlanted =
    "rate: {log_uniform: [1e-5, 1]}\ndropout: {uniform: [0, 1]}\ndim: {int_log: [2, 256]}\n"
    "batch: {quantized: [64, 1024, 64]}\nname: {choice: [a, b, c, d]}\n";
std::optional<double> planted(const SearchSpace&, const Point& p) {
  const auto square = [](double v) { return v * v; };
  return square((std::log10(p[0]) + 2) / 2) + square((p[1] - 0.2) * 2) + square(std::log2(p[2] / 16) / 3) +
         square((p[3] - 256) / 400) + (p[4] == 2 ? 0 : 0.3);
}

struct Comparison {
  double tpe = 0, random = 0;
  int wins = 0, within = 0;
};
Comparison compare(const char* yaml, const Objective& f, int64_t trials, double bar) {
  const SearchSpace space = space_of(yaml);
  Comparison c;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const double tpe = least(space, {.method = SearchOptions::Tpe, .trials = trials, .seed = seed}, f);
    const double random = least(space, {.method = SearchOptions::Random, .trials = trials, .seed = seed}, f);
    c.tpe += tpe / 20;
    c.random += random / 20;
    c.wins += tpe < random ? 1 : 0;
    c.within += tpe < bar ? 1 : 0;
  }
  return c;
}

TEST(TuneSearch, TpeComesNearTheMinimumOfBraninAndBeatsRandom) {
  const Comparison c = compare(kBranin, branin, 60, 0.9);
  RecordProperty("tpe", fmt::format("{:.3f} random {:.3f} wins {} within {}", c.tpe, c.random, c.wins, c.within));
  fmt::print("branin, 60 trials, 20 seeds: tpe {:.3f}, random {:.3f}; tpe better {} times, below 0.9 {} times\n", c.tpe,
             c.random, c.wins, c.within);
  EXPECT_LT(c.tpe, 0.8);
  EXPECT_LT(c.tpe, c.random);
  EXPECT_GE(c.within, 15);
}

TEST(TuneSearch, TpeFindsAPlantedOptimumOverFiveKindsOfDimensions) {
  const Comparison c = compare(kPlanted, planted, 60, 0.15);
  fmt::print("planted, 60 trials, 20 seeds: tpe {:.3f}, random {:.3f}; tpe better {} times, below 0.15 {} times\n",
             c.tpe, c.random, c.wins, c.within);
  EXPECT_LT(c.tpe, c.random / 1.5);
  EXPECT_GE(c.wins, 15);
}

TEST(TuneSearch, ProposalsAreAFunctionOfSeedAndResultsInWhateverOrderTheyArrive) {
  const SearchSpace space = space_of(kPlanted);
  const SearchOptions options{.method = SearchOptions::Tpe, .trials = 40, .seed = 3, .lag = 4};
  std::vector<Point> in_order;
  least(space, options, planted, &in_order);
  Search search(space, options);
  for (int64_t block = 0; block < 40; block += 4) {  // four at a time, told backwards
    for (int64_t t = block; t < block + 4; ++t) {
      ASSERT_TRUE(t == block || search.ready(t) || t >= options.startup);
      if (!search.ready(t)) break;
      EXPECT_EQ(search.point(t), in_order[static_cast<size_t>(t)]);
    }
    for (int64_t t = block + 3; t >= block; --t) search.tell(t, planted(space, in_order[static_cast<size_t>(t)]));
  }
  for (int64_t t = 0; t < 40; ++t) EXPECT_EQ(search.point(t), in_order[static_cast<size_t>(t)]);
  std::vector<Point> other;
  least(space, {.method = SearchOptions::Tpe, .trials = 40, .seed = 4}, planted, &other);
  EXPECT_NE(other, in_order);
}

TEST(TuneSearch, AProposalWaitsForTheResultsThatItNeeds) {
  Search search(space_of(kBranin), {.method = SearchOptions::Tpe, .trials = 30, .lag = 2, .startup = 5});
  EXPECT_TRUE(search.ready(4));
  EXPECT_FALSE(search.ready(5));
  for (int64_t t = 0; t < 4; ++t) search.tell(t, 1.0);
  EXPECT_TRUE(search.ready(5)) << "sees trials 0 to 3";
  EXPECT_FALSE(search.ready(6));
}

TEST(TuneSearch, FailedTrialsAreAvoided) {
  const SearchSpace space = space_of("rate: {log_uniform: [1e-5, 1]}\n");
  const auto diverges = [](const SearchSpace&, const Point& p) -> std::optional<double> {
    if (p[0] > 1e-2) return std::nullopt;  // three fifths of the range
    return std::abs(std::log10(p[0]) + 2.5);
  };
  std::vector<Point> points;
  least(space, {.method = SearchOptions::Tpe, .trials = 60, .seed = 2}, diverges, &points);
  int late_failures = 0;
  for (size_t t = 20; t < points.size(); ++t) late_failures += points[t][0] > 1e-2 ? 1 : 0;
  EXPECT_LT(late_failures, 16) << "of 40; by chance 24";
  std::vector<Point> all_fail;
  least(
      space, {.method = SearchOptions::Tpe, .trials = 30}, [](auto&, auto&) { return std::nullopt; }, &all_fail);
  EXPECT_EQ(all_fail.size(), 30U);
}

TEST(TuneSearch, EveryValueOfADiscreteDimensionIsDrawnAboutEquallyOften) {
  const SearchSpace space = space_of("n: {int: [1, 5]}\nq: {quantized: [0, 1, 0.25]}\nc: {choice: [x, y]}\n");
  Rng rng(1, 1);
  std::map<double, int> n, q, c;
  for (int i = 0; i < 10000; ++i) {
    const Point p = space.sample(rng);
    ++n[p[0]], ++q[p[1]], ++c[p[2]];
  }
  ASSERT_EQ(n.size(), 5U);
  ASSERT_EQ(q.size(), 5U);
  for (const auto& [value, count] : n) EXPECT_NEAR(count, 2000, 200) << value;
  for (const auto& [value, count] : q) EXPECT_NEAR(count, 2000, 200) << value;
  for (const auto& [value, count] : c) EXPECT_NEAR(count, 5000, 300) << value;
}

TEST(TuneSearch, AGridIsEveryCombinationOnce) {
  const SearchSpace space = space_of(
      "rate: {log_uniform: [0.001, 1], points: 4}\nname: {choice: [A, B]}\nlayers: {int: [1, 3], when: {name: [B]}}\n");
  Search search(space, {.method = SearchOptions::Grid});
  std::vector<std::string> seen;
  for (int64_t t = 0; t < search.trials(); ++t)
    seen.push_back(fmt::format("{}", fmt::join(space.overrides(search.point(t)), " ")));
  std::vector<std::string> expected;
  for (const char* rate : {"0.001", "0.01", "0.1", "1"}) {
    expected.push_back(fmt::format("rate={} name=A", rate));
    for (const char* layers : {"1", "2", "3"})
      expected.push_back(fmt::format("rate={} name=B layers={}", rate, layers));
  }
  EXPECT_EQ(seen, expected);
  EXPECT_THROW(space_of("rate: {uniform: [0, 1]}\n").grid(), ConfigError);
}

TEST(TuneSearch, ValuesAreWrittenAsAConfigTakesThem) {
  const SearchSpace space = space_of(
      "a: {log_uniform: [1e-5, 1]}\nb: {int_log: [1, 64]}\nc: {quantized: [0.1, 0.5, 0.1]}\n"
      "d: {choice: [[64], [128, 64], {x: 1}, 'true', true, \"two words\", word]}\n");
  EXPECT_EQ(space.overrides({0.00012345, 7, 0.1 + 0.1 + 0.1, 1}),
            (std::vector<std::string>{"a=0.00012345", "b=7", "c=0.3", "d=[128, 64]"}));
  std::vector<std::string> d;
  for (double i = 0; i < 7; ++i) d.push_back(space.overrides({1, 1, 0.1, i})[3].substr(2));
  EXPECT_EQ(d,
            (std::vector<std::string>{"[64]", "[128, 64]", "{\"x\": 1}", "\"true\"", "true", "\"two words\"", "word"}));
}

TEST(TuneSearch, AWrongSpaceIsRefusedWithTheLine) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"", "the search space is empty"},
      {"a: {normal: [0, 1]}", "expected one of uniform"},
      {"train:\n  rate: {uniform: [0, 1]}", "written with a dot"},
      {"a: {uniform: [0, 1], int: [1, 2]}", "is both uniform and int"},
      {"a: {uniform: [1, 1]}", "low must be below high"},
      {"a: {log_uniform: [0, 1]}", "low must be above 0"},
      {"a: {int: [1, 2.5]}", "expected whole numbers"},
      {"a: {quantized: [0, 1]}", "expected [low, high, step]"},
      {"a: {choice: [x]}", "at least two values"},
      {"a: {choice: [x, x]}", "stands twice"},
      {"a: {uniform: [0, 1], pointz: 3}", "unknown key 'a.pointz'; did you mean 'a.points'?"},
      {"a: {uniform: [0, 1], when: {b: [u]}}\nb: {choice: [u, v]}", "a choice of this space that stands before"},
      {"b: {choice: [u, v]}\na: {uniform: [0, 1], when: {b: [z]}}", "is no choice of b (they are u, v)"}};
  for (const auto& [yaml, text] : wrong) {
    try {
      space_of(yaml + "\n");
      ADD_FAILURE() << yaml;
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
    }
  }
}

TEST(TuneHalving, RungsEndWithTheWholeBudget) {
  EXPECT_EQ(halving_rungs(27, 1, 27, 3), (std::vector<Rung>{{1, 27}, {3, 9}, {9, 3}, {27, 1}}));
  EXPECT_EQ(halving_rungs(8, 2, 10, 2), (std::vector<Rung>{{2, 8}, {5, 4}, {10, 2}}));
  EXPECT_EQ(halving_rungs(2, 1, 9, 3), (std::vector<Rung>{{1, 2}, {3, 1}, {9, 1}}));
  EXPECT_EQ(halving_rungs(5, 7, 7, 3), (std::vector<Rung>{{7, 5}}));
  EXPECT_THROW(halving_rungs(5, 8, 7, 3), ConfigError);
}

TEST(TuneHalving, TheBestSurvive) {
  const std::vector<std::pair<int64_t, std::optional<double>>> losses = {{0, 0.5}, {1, std::nullopt}, {2, 0.1},
                                                                         {3, 0.5}, {4, NAN},          {5, 0.05}};
  EXPECT_EQ(survivors(losses, 2), (std::vector<int64_t>{2, 5}));
  EXPECT_EQ(survivors(losses, 3), (std::vector<int64_t>{0, 2, 5})) << "of equals the lower number";
  EXPECT_EQ(survivors(losses, 6), (std::vector<int64_t>{0, 2, 3, 5})) << "failed trials do not go on";
}

TEST(TuneImportance, TheDimensionThatMattersHasTheVariance) {
  const SearchSpace space = space_of("strong: {uniform: [0, 1]}\nweak: {uniform: [0, 1]}\nname: {choice: [x, y, z]}\n");
  double strong = 0, weak = 0, name = 0, direction = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Rng rng(seed, 9);
    std::vector<Point> points;
    std::vector<std::optional<double>> losses;
    for (int i = 0; i < 60; ++i) {
      points.push_back(space.sample(rng));
      losses.push_back(3 * points.back()[0] + 0.5 * rng.normal());
    }
    losses[7] = std::nullopt;
    const auto result = importances(space, points, losses);
    EXPECT_EQ(result[0].trials, 59);
    strong += result[0].share / 20, weak += result[1].share / 20, name += result[2].share / 20;
    direction += result[0].correlation / 20;
  }
  EXPECT_GT(strong, 0.6);
  EXPECT_LT(weak, 0.06) << "chance is taken out";
  EXPECT_LT(name, 0.06);
  EXPECT_GT(direction, 0.8);
}

}  // namespace
}  // namespace winnow
