// data/clean.h
#include "data/clean.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "data/synthetic.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

struct Cleaned {
  std::vector<std::string> rows;  // cells joined by |
  std::vector<int64_t> lines;
  CleanReport report;
};

CleanSpec spec_of(const std::string& steps) {
  Config config = Config::parse("clean:\n" + steps, "clean.yaml");
  CleanSpec spec = parse_clean(config.root().list("clean"));
  config.finish();
  return spec;
}

Cleaned clean(const std::string& csv, const std::string& steps, int64_t* opened = nullptr) {
  const TemporaryDirectory folder;
  folder.write("t.csv", csv);
  Cleaned c;
  const auto report = std::make_shared<CleanReport>();
  SourceSpec source;
  source.path = folder.path() + "/t.csv";
  const auto reader = clean_rows(
      [&] {
        if (opened != nullptr) ++*opened;
        return open_rows(source);
      },
      spec_of(steps), report);
  for (RowBlock block; reader->next(block);) {
    EXPECT_GT(block.rows, 0);
    for (int64_t r = 0; r < block.rows; ++r) {
      std::string row;
      for (size_t i = 0; i < reader->columns().size(); ++i) row += (i > 0 ? "|" : "") + std::string(block.cell(r, i));
      c.rows.push_back(row);
      c.lines.push_back(block.lines[static_cast<size_t>(r)]);
    }
  }
  c.report = *report;
  return c;
}

std::vector<int64_t> dropped(const Cleaned& c) {
  std::vector<int64_t> counts;
  int64_t sum = 0;
  for (const CleanReport::Step& s : c.report.steps) {
    counts.push_back(s.dropped);
    sum += s.dropped;
  }
  EXPECT_EQ(c.report.rows_read - c.report.kept, sum) << "a row that no step counts";
  EXPECT_EQ(c.report.kept, static_cast<int64_t>(c.rows.size()));
  return counts;
}

using Counts = std::vector<int64_t>;
using Rows = std::vector<std::string>;

TEST(Clean, WithoutStepsEveryRowComesThrough) {
  const Cleaned c = clean("a,b\n1,x\n2,\n", "  []\n");
  EXPECT_EQ(c.rows, (Rows{"1|x", "2|"}));
  EXPECT_EQ(c.report.rows_read, 2);
}

TEST(Clean, DuplicatesKeepTheFirst) {
  const std::string csv = "a,b\n1,x\n1,x\n1,y\n1,x\n\"1\",\"x\"\n";
  EXPECT_EQ(clean(csv, "  - {step: duplicates}\n").lines, (Counts{2, 4}));
  EXPECT_EQ(clean(csv, "  - {step: duplicates, columns: [a]}\n").lines, (Counts{2}));
  EXPECT_EQ(clean("a,b\nab,c\na,bc\n", "  - {step: duplicates}\n").rows.size(), 2u);
}

TEST(Clean, DuplicatesOfManyRowsAreFoundAmongMany) {
  std::string csv = "a,b\n";
  for (int i = 0; i < 60000; ++i) csv += fmt::format("{},{}\n", i % 40000, "same");
  EXPECT_EQ(dropped(clean(csv, "  - {step: duplicates}\n")), (Counts{20000}));
}

TEST(Clean, MissingAndRules) {
  const std::string csv = "a,b\n1,\n,x\n3,DE\n4,DEF\n5,FR\n";
  EXPECT_EQ(clean(csv, "  - {step: missing, columns: [a, b]}\n").lines, (Counts{4, 5, 6}));
  EXPECT_EQ(clean(csv, "  - {step: rule, column: b, rule: starts_with DE}\n").lines, (Counts{2, 3, 6}));
  EXPECT_EQ(clean(csv, "  - {step: rule, column: b, rule: contains E}\n").lines, (Counts{2, 3, 6}));
  EXPECT_EQ(clean(csv, "  - {step: rule, column: b, rule: one_of, values: [FR, x, '']}\n").lines, (Counts{4, 5}));
  EXPECT_EQ(clean(csv, "  - {step: rule, column: b, rule: not_one_of, values: [FR, DE]}\n").lines, (Counts{4, 6}));
  EXPECT_EQ(clean("a\n1\n5\n", "  - {step: rule, column: a, rule: '>= 4'}\n").rows, (Rows{"1"}));
  try {
    clean(csv, "  - {step: rule, column: a, rule: '< 2'}\n");
    FAIL() << "a missing cell was compared";
  } catch (const DataError& e) { EXPECT_NE(std::string(e.what()).find("t.csv:3: column 'a'"), std::string::npos); }
}

TEST(Clean, ARowCountsAtTheFirstStepThatDropsIt) {
  const std::string csv = "a,b\n1,\n1,\n,\n2,x\n";
  const Cleaned c = clean(csv,
                          "  - {step: duplicates}\n  - {step: missing, columns: [a]}\n"
                          "  - {step: missing, columns: [a, b]}\n");
  EXPECT_EQ(dropped(c), (Counts{1, 1, 1}));
  EXPECT_EQ(c.report.steps[1].rows_in, 3);
  EXPECT_EQ(c.report.steps[2].rows_in, 2);
  EXPECT_EQ(c.report.steps[0].examples.size(), 1u);
  EXPECT_TRUE(c.report.steps[0].examples[0].where.ends_with("t.csv:3")) << c.report.steps[0].examples[0].where;
}

TEST(Clean, ImpossibleNumbersAndTimes) {
  const std::string csv = "x\n1\n0\nnan\n1e999\n-3\nword\n11\n";
  EXPECT_EQ(clean(csv, "  - {step: impossible, column: x}\n").rows, (Rows{"1", "0", "-3", "11"}));
  EXPECT_EQ(clean(csv, "  - {step: impossible, column: x, min: 0, max: 10}\n").rows, (Rows{"1", "0"}));
  EXPECT_EQ(clean("x,y\n,1\n5,1\n", "  - {step: impossible, column: x, min: 1}\n").rows, (Rows{"|1", "5|1"}));
  const std::string days = "d\n2010-02-30\n2011-01-01\n1999-12-31\n2999-01-01\n";
  EXPECT_EQ(
      clean(days, "  - {step: impossible, column: d, format: '%Y-%m-%d', earliest: '2000-01-01', latest: now}\n").rows,
      (Rows{"2011-01-01"}));
  EXPECT_EQ(clean(days, "  - {step: impossible, column: d, format: '%Y-%m-%d', latest: '2000-01-01'}\n").rows,
            (Rows{"1999-12-31"}));
}

std::string numbers(int n, const std::string& more) {
  std::string csv = "g,x\n";
  for (int i = 0; i < n; ++i) csv += fmt::format("a,{}\n", i);
  return csv + more;
}

TEST(Clean, OutliersByEachMethod) {
  // 0..100: quartiles 25 and 75 at the places 25 and 75
  const std::string csv = numbers(101, "");
  EXPECT_EQ(dropped(clean(csv, "  - {step: outliers, column: x, method: iqr, k: 0.4}\n")), (Counts{10}));
  EXPECT_EQ(dropped(clean(csv, "  - {step: outliers, column: x, method: quantile, low: 0.1, high: 0.9}\n")),
            (Counts{20}));
  // deviation sqrt((101^2 - 1) / 12) = 29.155: 50 -+ 43.7 keeps 7 to 93
  EXPECT_EQ(dropped(clean(csv, "  - {step: outliers, column: x, method: zscore, k: 1.5}\n")), (Counts{14}));
  EXPECT_EQ(dropped(clean(numbers(101, "a,5000\na,\n"), "  - {step: outliers, column: x, method: iqr, k: 3}\n")),
            (Counts{1}));
}

TEST(Clean, OutliersOfEachGroupHaveTheirOwnBounds) {
  std::string csv = "g,x\n";
  for (int i = 0; i < 30; ++i) csv += fmt::format("small,{}\nlarge,{}\n", i, 1000 + i);
  csv += "small,1000\nlarge,0\nfew,1\nfew,99999\n";
  const Cleaned c = clean(csv, "  - {step: outliers, column: x, group: g, method: iqr, k: 3, min_rows: 10}\n");
  EXPECT_EQ(dropped(c), (Counts{2}));
  EXPECT_EQ(c.rows.back(), "few|99999") << "a group under min_rows keeps its rows";
}

TEST(Clean, AColumnWithoutSpreadHasNoOutliers) {
  EXPECT_EQ(dropped(clean("x\n1\n1\n1\n1\n1\n1\n7\n", "  - {step: outliers, column: x, method: iqr, min_rows: 1}\n")),
            (Counts{0}));
}

TEST(Clean, OutliersAreFittedOnWhatEarlierStepsKeep) {
  int64_t opened = 0;
  const std::string csv = numbers(101, "bad,1e9\nbad,1e9\nbad,1e9\n");
  const Cleaned c = clean(csv,
                          "  - {step: rule, column: g, rule: == bad}\n"
                          "  - {step: outliers, column: x, method: zscore, k: 1.5}\n",
                          &opened);
  EXPECT_EQ(dropped(c), (Counts{3, 14}));
  EXPECT_EQ(opened, 2);
}

TEST(Clean, ACancellationTakesBackTheLatestEarlierLineOfItsKind) {
  const std::string csv =
      "invoice,user,item,n\n"
      "1,u,a,5\n"    // taken back by the second cancellation
      "2,u,a,5\n"    // taken back by the first
      "3,u,a,6\n"    // another quantity
      "4,w,a,5\n"    // another user
      "C5,u,a,-5\n"  // takes back 2
      "C6,u,a,-5\n"  // takes back 1
      "C7,u,a,-5\n"  // nothing is left
      "8,u,a,5\n"    // later: stays
      "C9,,a,-5\n";  // no user: matches nothing
  const Cleaned c = clean(csv, "  - {step: cancelled, column: invoice, prefix: C, match: [user, item], quantity: n}\n");
  EXPECT_EQ(c.rows, (Rows{"3|u|a|6", "4|w|a|5", "8|u|a|5"}));
  EXPECT_EQ(dropped(c), (Counts{4, 2}));
  EXPECT_EQ(dropped(clean(csv, "  - {step: cancelled, column: invoice, prefix: C}\n")), (Counts{4}));
}

TEST(Clean, BotsByRate) {
  std::string csv = "user,at\n";
  for (int i = 0; i < 5; ++i) csv += fmt::format("bot,{}\n", 100 + 2 * i);  // 5 rows within 8 s
  csv += "bot,900\n";
  for (int i = 0; i < 5; ++i) csv += fmt::format("human,{}\n", 100 + 60 * i);
  csv += ",100\n,100\n,100\n,100\n,100\n";
  const std::string step = "  - {step: bots, user: user, time: at, events: 4, seconds: 9";
  EXPECT_EQ(dropped(clean(csv, step + "}\n")), (Counts{6}));
  EXPECT_EQ(dropped(clean(csv, step + ", drop: burst}\n")), (Counts{5}));
  EXPECT_EQ(dropped(clean(csv, "  - {step: bots, user: user, time: at, events: 4, seconds: 8}\n")), (Counts{0}));
  EXPECT_EQ(dropped(clean(csv, "  - {step: bots, user: user, time: at, events: 3, seconds: 7, drop: burst}\n")),
            (Counts{5}))
      << "overlapping bursts";
}

TEST(Clean, BotsNeedNotBeInOrderOfTime) {
  EXPECT_EQ(dropped(clean("u,t\na,30\na,10\nb,0\na,11\na,12\n",
                          "  - {step: bots, user: u, time: t, events: 2, seconds: 5, drop: burst}\n")),
            (Counts{3}));
}

TEST(Clean, TextIsRewrittenForLaterStepsAndReaders) {
  const Cleaned c = clean("id,name\n1,Caf&eacute;  bar\n2,Café bar\n3,plain\n",
                          "  - {step: text, columns: [name]}\n  - {step: duplicates, columns: [name]}\n");
  EXPECT_EQ(c.rows, (Rows{"1|Café bar", "3|plain"}));
  EXPECT_EQ(c.report.steps[0].changed, 1);
  EXPECT_EQ(dropped(c), (Counts{0, 1}));
}

TEST(Clean, TextThatIsNotUtf8IsAnErrorWithItsLineOrRepaired) {
  const std::string csv = "a\nok\nK\xF6ln\n";
  try {
    clean(csv, "  - {step: text, columns: [a]}\n");
    FAIL();
  } catch (const DataError& e) { EXPECT_NE(std::string(e.what()).find("t.csv:3: column 'a'"), std::string::npos); }
  EXPECT_EQ(clean(csv, "  - {step: text, columns: [a], invalid_utf8: replace}\n").rows, (Rows{"ok", "K\uFFFDln"}));
}

TEST(Clean, StepsWithPassesOfTheirOwnFollowOneAnother) {
  std::string csv = "invoice,user,item,n,at\n";
  for (int i = 0; i < 40; ++i) csv += fmt::format("{},u{},i,{},{}\n", i, i, i % 7 + 1, i * 100);
  csv += "90,u1,i,5000,1\nC91,u1,i,-5000,2\n92,u2,i,6000,3\n";
  for (int i = 0; i < 9; ++i) csv += fmt::format("{},b,i,3,{}\n", 200 + i, 7000 + i);
  const std::string steps =
      "  - {step: cancelled, column: invoice, prefix: C, match: [user, item], quantity: n}\n"
      "  - {step: outliers, column: n, method: iqr, k: 3}\n"
      "  - {step: bots, user: user, time: at, events: 5, seconds: 60}\n";
  int64_t opened = 0;
  const Cleaned c = clean(csv, steps, &opened);
  EXPECT_EQ(dropped(c), (Counts{1, 1, 1, 9}));
  EXPECT_EQ(opened, 4);
  EXPECT_EQ(c.rows.size(), 40u);
}

TEST(Clean, BlocksOutliveTheReader) {
  const TemporaryDirectory folder;
  std::string csv = "id,name\n";
  for (int i = 0; i < 50000; ++i) csv += fmt::format("{},A  {}\n", i, i);
  folder.write("t.csv", csv);
  SourceSpec source;
  source.path = folder.path() + "/t.csv";
  auto reader = clean_rows([&] { return open_rows(source); }, spec_of("  - {step: text, columns: [name]}\n"),
                           std::make_shared<CleanReport>());
  std::vector<RowBlock> blocks;
  for (RowBlock block; reader->next(block); block = {}) blocks.push_back(std::move(block));
  reader.reset();
  int i = 0;
  for (const RowBlock& block : blocks)
    for (int64_t r = 0; r < block.rows; ++r, ++i) ASSERT_EQ(block.cell(r, 1), fmt::format("A {}", i));
  EXPECT_EQ(i, 50000);
}

// The store knows what it added.
TEST(Clean, FindsWhatTheDirtyStoreAdded) {
  const TemporaryDirectory folder;
  write_synthetic_store(folder.path(),
                        {.users = 500, .items = 200, .impressions = 20000, .pictures = 0, .dirty = true});
  const auto truth = nlohmann::json::parse(read_text(folder.path() + "/truth.json", 100000));
  const Cleaned c = clean(read_text(folder.path() + "/impressions.csv", 10000000),
                          "  - {step: duplicates}\n"
                          "  - {step: cancelled, column: order_id, prefix: C}\n"
                          "  - {step: impossible, column: timestamp, format: unix, earliest: '1700000000', latest: "
                          "'1800000000'}\n"
                          "  - {step: bots, user: user_id, time: timestamp, events: 15, seconds: 2}\n");
  const auto added = [&truth](const char* what) { return truth.at("dirty").at(what).get<int64_t>(); };
  EXPECT_EQ(dropped(c),
            (Counts{added("duplicate_rows"), added("cancelled_orders"), added("impossible_times"), added("bot_rows")}));
  EXPECT_GT(added("bot_rows"), 0);
}

struct BadStep {
  const char* name;
  const char* step;
  const char* message;
};
void PrintTo(const BadStep& s, std::ostream* out) { *out << s.name; }

class BadSteps : public testing::TestWithParam<BadStep> {};
TEST_P(BadSteps, AreRefusedWithPlaceAndReason) {
  try {
    spec_of(std::string("  - {") + GetParam().step + "}\n");
    FAIL() << "no error";
  } catch (const ConfigError& e) {
    EXPECT_NE(std::string(e.what()).find(GetParam().message), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("clean.yaml:2"), std::string::npos) << e.what();
  }
}
INSTANTIATE_TEST_SUITE_P(
    Each, BadSteps,
    testing::Values(BadStep{"unknown", "step: duplicate", "duplicates"},
                    BadStep{"no_columns", "step: missing, columns: []", "column"},
                    BadStep{"rule", "step: rule, column: a, rule: like x", "begin with"},
                    BadStep{"no_values", "step: rule, column: a, rule: one_of", "values"},
                    BadStep{"values_elsewhere", "step: rule, column: a, rule: missing, values: [x]", "values"},
                    BadStep{"min_max", "step: impossible, column: a, min: 3, max: 1", "above max"},
                    BadStep{"number_and_time", "step: impossible, column: a, format: unix, min: 1", "min"},
                    BadStep{"time", "step: impossible, column: a, format: '%Y-%m-%d', earliest: x", "not a time"},
                    BadStep{"method", "step: outliers, column: a, method: mad", "iqr"},
                    BadStep{"k_of_quantile", "step: outliers, column: a, method: quantile, k: 3", "k"},
                    BadStep{"low_high", "step: outliers, column: a, method: quantile, low: 0.9, high: 0.1",
                            "below high"},
                    BadStep{"prefix", "step: cancelled, column: a, prefix: ''", "prefix"},
                    BadStep{"quantity", "step: cancelled, column: a, prefix: C, quantity: n", "quantity"},
                    BadStep{"events", "step: bots, user: a, time: t, events: 0, seconds: 5", "events"},
                    BadStep{"case", "step: text, columns: [a], case: upper", "case"}),
    [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace winnow
