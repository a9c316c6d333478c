// data/describe.h, data/quantile_sketch.h
#include "data/describe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "data/detail/column_sketch.h"
#include "data/detail/hash128.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

TableSummary describe(const std::string& csv, const DescribeOptions& options = {}) {
  const TemporaryDirectory folder;
  folder.write("t.csv", csv);
  SourceSpec source;
  source.path = folder.path() + "/t.csv";
  return describe_rows(*open_rows(source), options);
}

TEST(QuantileSketch, IsExactWhileNumbersAreFew) {
  QuantileSketch sketch;
  for (int i = 1000; i >= 0; --i) sketch.add(i);
  EXPECT_EQ(sketch.rank_error(), 0);
  EXPECT_EQ(sketch.quantiles({0, 0.25, 0.5, 1}), (std::vector<double>{0, 250, 500, 1000}));
  EXPECT_TRUE(std::isnan(QuantileSketch{}.quantile(0.5)));
}

TEST(QuantileSketch, RanksOfManyNumbersStayWithinTheBound) {
  constexpr int64_t kNumbers = 1000000;
  Rng rng(3);
  for (const int order : {0, 1, 2}) {  // at random, rising, falling
    QuantileSketch sketch;
    for (int64_t i = 0; i < kNumbers; ++i)
      sketch.add(order == 0 ? rng.uniform() * kNumbers : static_cast<double>(order == 1 ? i : kNumbers - 1 - i));
    EXPECT_LT(sketch.rank_error(), kNumbers / 1000);
    const double slack = order == 0 ? 4 * std::sqrt(0.25 * kNumbers) : 1;  // of the sample itself
    for (const double q : {0.01, 0.1, 0.5, 0.9, 0.99})
      EXPECT_NEAR(sketch.quantile(q), q * kNumbers, static_cast<double>(sketch.rank_error()) + slack);
    int64_t weight = 0;
    for (const auto& [x, w] : sketch.weighted()) weight += w;
    EXPECT_EQ(weight, kNumbers);
  }
}

TEST(DistinctSketch, CountsWithinFourStandardErrors) {
  for (const int64_t n : {10, 1000, 40000, 100000, 1000000}) {
    detail::DistinctSketch sketch;
    for (int64_t i = 0; i < 2 * n; ++i) {
      detail::RowHasher hasher;
      hasher.add(std::to_string(i % n));
      sketch.add(hasher.finish().low);
    }
    EXPECT_NEAR(sketch.estimate(), static_cast<double>(n), 4 * 0.0081 * static_cast<double>(n)) << n;
  }
}

TEST(FrequentValues, KeepTheFrequentOnesWithABoundOnTheirCounts) {
  detail::FrequentValues values;
  int64_t common = 0;
  for (int i = 0; i < 300000; ++i) {
    values.add(std::to_string(i));
    if (i % 10 == 0) values.add("common"), ++common;
  }
  EXPECT_FALSE(values.exact());
  const TopValue first = values.top(1)[0];
  EXPECT_EQ(first.text, "common");
  EXPECT_LE(first.count, common);
  EXPECT_GE(first.count + values.error(), common);
}

TEST(Describe, GuessesTypes) {
  std::string csv = "flag,whole,real,day,seen_at,kind,key,words,none\n";
  for (int i = 0; i < 200; ++i)
    csv += fmt::format("{},{},{:.1f},2020-02-{:02},{},{},k{},some words here {},\n", i % 2, i % 50, i / 3.0, i % 28 + 1,
                       1600000000 + i, i % 3 == 0 ? "red" : "blue", i, i % 40);
  const TableSummary s = describe(csv);
  std::vector<std::string> types;
  for (const ColumnSummary& c : s.columns) types.push_back(c.type);
  EXPECT_EQ(types, (std::vector<std::string>{"binary", "integer", "number", "timestamp", "timestamp", "category", "id",
                                             "text", "empty"}));
  EXPECT_EQ(s.rows, 200);
  EXPECT_EQ(s.columns[3].time_format, "%Y-%m-%d");
  EXPECT_EQ(*s.columns[4].from, 1600000000);
  EXPECT_EQ(*s.columns[4].to, 1600000199);
  EXPECT_EQ(s.columns[5].top[0].text, "blue");
  EXPECT_EQ(s.columns[5].top[0].count, 133);
  EXPECT_EQ(s.columns[6].distinct, 200);
  EXPECT_EQ(s.columns[8].missing, 200);
}

TEST(Describe, NumbersMissingCellsAndLengths) {
  const TableSummary s = describe("x,t\n1,\n2,Köln\n,a b c d\n6,ab\n");
  const NumberSummary& x = *s.columns[0].numbers;
  EXPECT_EQ(s.columns[0].missing, 1);
  EXPECT_EQ(x.count, 3);
  EXPECT_DOUBLE_EQ(x.mean, 3);
  EXPECT_DOUBLE_EQ(x.deviation, std::sqrt(14.0 / 3));
  EXPECT_EQ(x.q.front(), 1);
  EXPECT_EQ(x.q[4], 2);
  EXPECT_EQ(x.q.back(), 6);
  EXPECT_EQ(s.columns[1].lengths->q.back(), 7);
  EXPECT_EQ(s.columns[1].lengths->q[4], 4) << "Köln has four letters";
  EXPECT_FALSE(describe("x\n1\nword\n").columns[0].numbers);
}

TEST(Describe, LabelAndActivity) {
  DescribeOptions options{.label = parse_rule("y", ">= 4"), .user = "u", .item = "i"};
  const TableSummary s = describe("u,i,y\na,x,5\na,y,1\na,z,4\nb,x,\n", options);
  EXPECT_DOUBLE_EQ(*s.label_rate, 2.0 / 3);
  EXPECT_EQ(s.user_rows->count, 2);
  EXPECT_EQ(s.user_rows->q.back(), 3);
  EXPECT_EQ(s.item_rows->count, 3);
  EXPECT_THROW(describe("u,i,y\na,x,word\n", options), DataError);
  EXPECT_THROW(describe("u,i\na,x\n", options), DataError);
  EXPECT_EQ(nlohmann::json::parse(s.json()).at("columns").size(), 3u);
}

TEST(Describe, TheSameForAnyNumberOfThreads) {
  std::string csv = "a,b,c\n";
  for (int i = 0; i < 100000; ++i) csv += fmt::format("{},{:.3f},v{}\n", i, std::sin(i), i % 70000);
  set_num_threads(1);
  const std::string one = describe(csv).json();
  set_num_threads(3);
  std::string three = describe(csv).json();
  set_num_threads(1);
  const auto without_name = [](const std::string& text) { return text.substr(text.find("\"rows\"")); };
  EXPECT_EQ(without_name(one), without_name(three));
}

}  // namespace
}  // namespace winnow
