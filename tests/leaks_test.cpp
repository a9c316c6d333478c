// data/leaks.h: planted leaks are named, clean data is left in peace.
#include "data/leaks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "core/file.h"
#include "core/rng.h"
#include "data/detail/leak_tests.h"
#include "data/synthetic.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

struct View {
  int64_t row, user, item, time, label;
  double score;  // of the true model
};

struct World {
  int64_t rows = 6000, users = 300, items = 100;
  double base = -1, strength = 1;  // of the logit: sigmoid(base + strength z), z normal
  uint64_t seed = 1;
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

std::vector<View> views(const World& w) {
  Rng rng(w.seed);
  std::vector<double> taste, quality;
  for (int64_t u = 0; u < w.users; ++u) taste.push_back(rng.normal());
  for (int64_t i = 0; i < w.items; ++i) quality.push_back(rng.normal());
  std::vector<View> rows;
  for (int64_t r = 0; r < w.rows; ++r) {
    View v{r,
           static_cast<int64_t>(rng.below(static_cast<uint64_t>(w.users))),
           static_cast<int64_t>(rng.below(static_cast<uint64_t>(w.items))),
           1700000000 + 60 * r,
           0,
           0};
    v.score =
        (taste[static_cast<size_t>(v.user)] + quality[static_cast<size_t>(v.item)] + rng.normal()) / std::sqrt(3.0);
    v.label = rng.uniform() < sigmoid(w.base + w.strength * v.score) ? 1 : 0;
    rows.push_back(v);
  }
  return rows;
}

using Cell = std::function<std::string(const View&)>;

struct Table {
  std::vector<View> rows;
  Cell cell;            // of the column x
  std::string feature;  // "{name: x, ...}"; "" no such column
  std::string split = "time";
  std::optional<int64_t> export_time = {};
};

Schema schema_of_table(const Table& t, const std::string& path) {
  std::string yaml =
      "interactions: {file: t.csv}\nuser_id: user\nitem_id: item\ntimestamp: {column: time}\nlabel: {column: label}\n"
      "split: {method: " +
      t.split +
      "}\nfeatures:\n  - {name: user}\n  - {name: item}\n"
      "  - {name: hour, source: context}\n  - {name: price, type: numeric, source: context, normalizer: "
      "log_standard}\n";
  if (!t.feature.empty()) yaml += "  - " + t.feature + "\n";
  return schema_of(yaml, path);
}

std::vector<Leak> leaks_of(const Table& t) {
  std::string csv = "user,item,time,label,hour,price,x\n";
  for (const View& v : t.rows)
    csv += fmt::format("u{},i{},{},{},{},{:.2f},{}\n", v.user, v.item, v.time, v.label, v.time / 3600 % 24,
                       5 + std::exp(v.score), t.cell ? t.cell(v) : "");
  const TemporaryDirectory folder;
  folder.write("t.csv", csv);
  const Schema schema = schema_of_table(t, folder.path());
  return find_leaks(load_dataset(schema), schema, t.export_time.value_or(1900000000));
}

std::set<std::string> kinds_of(const std::vector<Leak>& leaks, const std::string& feature) {
  std::set<std::string> kinds;
  for (const Leak& leak : leaks) {
    EXPECT_EQ(leak.feature, feature) << "a false alarm: " << str({leak});
    kinds.insert(leak.kind);
  }
  return kinds;
}

const std::string kNumber = "{name: x, type: numeric, source: context}";
const std::string kCategory = "{name: x, source: context}";

// A number that is the same for equal arguments, uniform in (0, 1).
double noise(int64_t a, uint64_t stream = 9) { return Rng(static_cast<uint64_t>(a) + 1, stream).uniform(); }
double normal_noise(int64_t a) { return Rng(static_cast<uint64_t>(a) + 1, 11).normal(); }

struct Planted {
  const char* name;
  const char* kind;
  const char* feature;
  std::function<Table()> make;
};
void PrintTo(const Planted& p, std::ostream* out) { *out << p.name; }

Table with_column(const std::string& feature, Cell cell, const World& world = {}) {
  return {.rows = views(world), .cell = std::move(cell), .feature = feature};
}

std::map<int64_t, std::pair<int64_t, int64_t>> totals(const std::vector<View>& rows, int64_t View::*key) {
  std::map<int64_t, std::pair<int64_t, int64_t>> t;
  for (const View& v : rows) t[v.*key].first += v.label, ++t[v.*key].second;
  return t;
}

Table mean_label(int64_t View::*key, double smoothing, bool without_own) {
  Table t = with_column(kNumber, {});
  const auto sums = totals(t.rows, key);
  t.cell = [=](const View& v) {
    const auto [positives, rows] = sums.at(v.*key);
    const int64_t own = without_own ? 1 : 0;
    return fmt::format("{:.6f}", (static_cast<double>(positives - own * v.label) + smoothing * 0.3) /
                                     (static_cast<double>(rows - own) + smoothing));
  };
  return t;
}

// Rows sorted by label, while their times stay in the order of the file's times.
Table sorted_by_label() {
  Table t = with_column(kCategory, [](const View& v) { return fmt::format("R{:06}", v.row); });
  std::ranges::stable_sort(t.rows, {}, [](const View& v) { return static_cast<double>(v.label) + noise(v.row) * 1.6; });
  for (size_t i = 0; i < t.rows.size(); ++i) t.rows[i].row = static_cast<int64_t>(i);
  return t;
}

// Orders of up to 4 lines, all bought or none.
Table orders_of_one_label() {
  Table t = with_column(kCategory, [](const View& v) { return fmt::format("order{}", v.row / 4); });
  for (View& v : t.rows) v.label = noise(v.row / 4) < 0.3 ? 1 : 0;
  return t;
}

Table copied_rows() {
  Table t = with_column("", {});
  t.split = "random";
  for (View& v : t.rows) v.time = 1700000000;  // so that the random split looks at no future
  const size_t n = t.rows.size();
  for (size_t i = 0; i < n; i += 5) t.rows.push_back(t.rows[i]);
  return t;
}

Table with_late_rows() {
  Table t = with_column("", {});
  for (size_t i = 0; i < t.rows.size(); i += 500) t.rows[i].time += 500 * 86400;
  t.export_time = 1700000000 + 60 * 6000;
  return t;
}

Table drawn_at_random() {
  Table t = with_column("", {});
  t.split = "random";
  return t;
}

class PlantedLeaks : public testing::TestWithParam<Planted> {};
TEST_P(PlantedLeaks, AreNamedByKindAndFeature) {
  const std::vector<Leak> leaks = leaks_of(GetParam().make());
  EXPECT_TRUE(kinds_of(leaks, GetParam().feature).contains(GetParam().kind)) << str(leaks);
}
INSTANTIATE_TEST_SUITE_P(
    Each, PlantedLeaks,
    testing::Values(
        Planted{"label_as_a_number", "tells_label", "x",
                [] { return with_column(kNumber, [](const View& v) { return fmt::format("{}", 3 - 2 * v.label); }); }},
        Planted{"label_as_words", "tells_label", "x",
                [] {
                  return with_column(kCategory, [](const View& v) {
                    return fmt::format("{}{}", v.label == 1 ? "won" : "lost", v.row % 7);
                  });
                }},
        Planted{"label_with_noise", "tells_label", "x",
                [] {
                  return with_column(kNumber, [](const View& v) {
                    return fmt::format("{:.4f}", static_cast<double>(v.label) + 0.3 * normal_noise(v.row));
                  });
                }},
        Planted{"label_folded", "tells_label", "x",  // no order of the numbers, yet a function of the label
                [] {
                  return with_column(kNumber, [](const View& v) {
                    return fmt::format("{}", 2 * static_cast<int>(noise(v.row) * 40) + v.label);
                  });
                }},
        Planted{"filled_in_after_the_event", "missing_tells", "x",
                [] {
                  return with_column(kNumber, [](const View& v) {
                    const bool there = v.label == 1 && noise(v.row) < 0.4;
                    return there ? fmt::format("{:.3f}", noise(v.row, 3)) : std::string();
                  });
                }},
        Planted{
            "status_of_one_label", "one_label", "x",
            [] {
              return with_column(kCategory, [](const View& v) {
                return std::string(v.label == 1 && noise(v.row) < 0.5 ? "shipped" : noise(v.row, 4) < 0.5 ? "a" : "b");
              });
            }},
        Planted{"row_number_of_a_sorted_file", "row_order", "x", sorted_by_label},
        Planted{"order_id", "tells_label", "x", orders_of_one_label},
        Planted{"mean_label_of_the_user", "target_encoding", "x", [] { return mean_label(&View::user, 0, false); }},
        Planted{"smoothed_mean_label_of_the_item", "target_encoding", "x",
                [] { return mean_label(&View::item, 10, false); }},
        Planted{"mean_label_of_the_others", "target_encoding", "x", [] { return mean_label(&View::user, 0, true); }},
        Planted{"copy_of_the_time", "timestamp_copy", "x",
                [] {
                  return with_column(kNumber, [](const View& v) {
                    return fmt::format("{:.0f}", static_cast<double>(v.time) / 60 + 20 * noise(v.row));
                  });
                }},
        Planted{"rows_after_the_export", "future_time", "time", with_late_rows},
        Planted{"random_split_over_time", "future_rows", "time", drawn_at_random},
        Planted{"copied_rows", "duplicates", "", copied_rows}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Leaks, UsersOnBothSidesOfASplitByUserAreNamed) {
  const Table t = with_column("", {});
  std::string csv = "user,item,time,label,hour,price,x\n";
  for (const View& v : t.rows) csv += fmt::format("u{},i{},{},{},1,1,\n", v.user, v.item, v.time, v.label);
  const TemporaryDirectory folder;
  folder.write("t.csv", csv);
  Schema schema = schema_of_table(t, folder.path());
  const Dataset d = load_dataset(schema);
  schema.split.method = SplitSpec::User;  // which loaded differently
  EXPECT_TRUE(kinds_of(find_leaks(d, schema, 1900000000), "user").contains("user_overlap"));
}

TEST(Leaks, RowsOnDiskAreSearchedToo) {
  Table t = with_column(kCategory, {});
  std::string csv = "user,item,time,label,hour,price,x\n";
  for (const View& v : t.rows)
    csv +=
        fmt::format("u{},i{},{},{},1,{},{}\n", v.user, v.item, v.time, v.label, v.row % 7, v.label == 1 ? "yes" : "no");
  const TemporaryDirectory folder;
  folder.write("t.csv", csv);
  Schema schema = schema_of_table(t, folder.path());
  schema.storage = Storage::Disk;
  const Dataset d = load_dataset(schema, folder.path());
  ASSERT_TRUE(d.on_disk());
  EXPECT_TRUE(kinds_of(find_leaks(d, schema, 1900000000), "x").contains("tells_label"));
  std::set<std::string> kinds;
  for (const Leak& leak : find_leaks(d, schema, t.rows[5900].time - 90000)) kinds.insert(leak.kind);
  EXPECT_TRUE(kinds.contains("future_time")) << "times are read beside the rows";
}

// A predictor that is as strong as honest ones get: AUC over .9, all values distinct.
TEST(Leaks, AStrongHonestPredictorIsNone) {
  for (const uint64_t seed : {1, 2, 3}) {
    const World world{.base = 0, .strength = 4.5, .seed = seed};
    std::vector<std::pair<double, bool>> scored;
    for (const View& v : views(world)) scored.emplace_back(v.score, v.label == 1);
    EXPECT_GT(detail::auc(std::move(scored)), 0.9);
    EXPECT_EQ(str(leaks_of(with_column(
                  kNumber, [](const View& v) { return fmt::format("{:.5f}", v.score); }, world))),
              "");
    EXPECT_EQ(str(leaks_of(with_column(
                  kCategory, [](const View& v) { return fmt::format("{}", std::lround(3 * v.score)); }, world))),
              "");
  }
}

// A rate from earlier rows is what target encoding should be.
TEST(Leaks, ARateOfEarlierRowsIsNone) {
  Table t = with_column(kNumber, {}, {.strength = 2});
  std::vector<std::pair<double, double>> sums(300);
  for (const View& v : t.rows) {  // other labels of the same users
    sums[static_cast<size_t>(v.user)].first += noise(v.row, 77) < sigmoid(-1 + 2 * v.score) ? 1 : 0;
    ++sums[static_cast<size_t>(v.user)].second;
  }
  t.cell = [&](const View& v) {
    const auto& [ones, n] = sums[static_cast<size_t>(v.user)];
    return fmt::format("{:.6f}", ones / n);
  };
  EXPECT_EQ(str(leaks_of(t)), "");
}

TEST(CleanData, NoiseGivesNoAlarm) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const World world{.rows = 3000, .base = 0, .strength = 0, .seed = seed};
    EXPECT_EQ(str(leaks_of(with_column(
                  kNumber, [](const View& v) { return fmt::format("{:.4f}", noise(v.row)); }, world))),
              "");
    EXPECT_EQ(str(leaks_of(with_column(
                  kCategory, [](const View& v) { return fmt::format("{:.0f}", 2000 * noise(v.row)); }, world))),
              "");
    EXPECT_EQ(str(leaks_of(with_column(
                  kCategory, [](const View& v) { return fmt::format("R{:.0f}", 1e9 * noise(v.row)); }, world))),
              "");
  }
}

TEST(CleanData, OnePercentOfPositivesGivesNoAlarm) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const World world{.rows = 20000, .users = 2000, .base = -5, .strength = 1, .seed = seed};
    const auto x = [](const View& v) { return noise(v.row) < 0.5 ? "" : fmt::format("{:.0f}", 300 * noise(v.row, 5)); };
    EXPECT_EQ(str(leaks_of(with_column(kCategory, x, world))), "");
    EXPECT_EQ(str(leaks_of(with_column(kNumber, x, world))), "");
  }
}

// What the store's own config looks at, with more lines of features.
std::vector<Leak> leaks_of_store(const std::string& features) {
  const TemporaryDirectory folder;
  write_synthetic_store(folder.path(), {.users = 500, .items = 200, .impressions = 20000, .pictures = 0});
  const std::string text =
      replaced(read_text("examples/ctr/synthetic.yaml", 100000), "  features:\n", "  features:\n" + features);
  Config config = Config::parse(text, "synthetic.yaml");
  config.apply_override("data.path=" + folder.path());
  const Schema schema = parse_schema(config.root().child("data"));
  return find_leaks(load_dataset(schema), schema);
}

TEST(CleanData, TheSyntheticStoreGivesNoAlarm) { EXPECT_EQ(str(leaks_of_store("")), ""); }

// Of columns that a log really has: what follows the click is known after it.
TEST(Leaks, ColumnsOfWhatFollowedTheClickAreNamed) {
  EXPECT_TRUE(kinds_of(leaks_of_store("    - {name: carted, source: context}\n"), "carted").contains("one_label"));
  const std::string value = "    - {name: order_value, type: numeric, source: context}\n";
  EXPECT_TRUE(kinds_of(leaks_of_store(value), "order_value").contains("missing_tells"));
}

// Ratings with strong tastes of users and items, each pair once, a zip code that is nearly the user.
TEST(CleanData, RatingsGiveNoAlarm) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    World world{.rows = 20000, .users = 400, .items = 800, .base = 0.2, .strength = 3, .seed = seed};
    Table t = with_column(
        kCategory, [](const View& v) { return fmt::format("{:05}", 7919 * (v.user / 2) % 100000); }, world);
    std::set<std::pair<int64_t, int64_t>> seen;
    std::erase_if(t.rows, [&](const View& v) { return !seen.insert({v.user, v.item}).second; });
    EXPECT_EQ(str(leaks_of(t)), "");
  }
}

TEST(CleanData, OnlineRetailGivesNoAlarm) {
  const char* data = std::getenv("WINNOW_DATA");
  const std::string packed = std::string(data != nullptr ? data : "../shared/data") + "/online_retail.csv.zst";
  if (!file_exists(packed)) GTEST_SKIP() << packed << " is missing; WINNOW_DATA names the folder that has it";
  const TemporaryDirectory folder;
  const std::string unpack = "zstd -dcq '" + packed + "' | head -60000 > '" + folder.path() + "/online_retail.csv'";
  if (std::system(unpack.c_str()) != 0) GTEST_SKIP() << "zstd could not unpack " << packed;
  Config config = Config::load("examples/ctr/online_retail.yaml");
  config.apply_override("data.path=" + folder.path());
  const Schema schema = parse_schema(config.root().child("data"));
  EXPECT_EQ(str(find_leaks(load_dataset(schema), schema)), "");
}

TEST(Leaks, ReportsAreTextAndJson) {
  const std::vector<Leak> leaks = {{"tells_label", "x", "why"}, {"duplicates", "", "again"}};
  EXPECT_EQ(str(leaks), "leak: tells_label: 'x': why\nleak: duplicates: again\n");
  EXPECT_EQ(json(leaks),
            R"([{"kind":"tells_label","feature":"x","text":"why"},{"kind":"duplicates","feature":"","text":"again"}])");
  EXPECT_EQ(json({}), "[]");
}

}  // namespace
}  // namespace winnow
