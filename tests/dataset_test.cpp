// data/: from files and schema to an encoded data set, and the text of every refusal.
#include <algorithm>
#include <cmath>
#include <set>

#include "core/file.h"
#include "core/rng.h"
#include "data/batches.h"
#include "data/synthetic.h"
#include "data/timestamp.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

std::vector<int64_t> bag(const Dataset& d, int64_t row, int64_t field) {
  const auto b = static_cast<size_t>(row * d.fields() + field);
  return {d.ids.begin() + d.offsets[b], d.ids.begin() + d.offsets[b + 1]};
}
int64_t id_of(const Dataset& d, const char* feature, std::string_view value) {
  return d.map.features[d.map.feature(feature)].vocabulary.id(value);
}

TEST(Dataset, VocabulariesComeFromTrainingByFrequencyThenText) {
  const Dataset d = load(small_shop(), kSmallShop);
  ASSERT_EQ(d.train.size(), 12u);
  ASSERT_EQ(d.valid.size(), 4u);
  ASSERT_EQ(d.test.size(), 4u);
  // training: b 7, a 5; x 6, y 4, w 2
  EXPECT_EQ(id_of(d, "user", "b"), 1);
  EXPECT_EQ(id_of(d, "user", "a"), 2);
  EXPECT_EQ(id_of(d, "item", "x"), 1);
  EXPECT_EQ(id_of(d, "item", "y"), 2);
  EXPECT_EQ(id_of(d, "item", "w"), 3);
  EXPECT_EQ(d.map.rows(0), 4) << "PAD, two values, OOV";
  EXPECT_EQ(id_of(d, "tags", "red"), 1) << "of x and y: 10 times";
  EXPECT_EQ(id_of(d, "tags", "big"), 2);
}

TEST(Dataset, UnseenIsOovAndMissingIsPad) {
  const Dataset d = load(small_shop(), kSmallShop);
  const int64_t last = d.test.back();
  EXPECT_EQ(d.user_keys[static_cast<size_t>(d.user[static_cast<size_t>(last)])], "c");
  EXPECT_EQ(bag(d, last, 0), std::vector<int64_t>{3}) << "user c is not in training: OOV";
  EXPECT_EQ(bag(d, last, 1), std::vector<int64_t>{2}) << "Bonn: OOV of the cities";
  EXPECT_EQ(bag(d, last, 3), (std::vector<int64_t>{3, 1, 2})) << "green is OOV, red, big; odd is beyond max_len";
  EXPECT_EQ(bag(d, 1, 1), std::vector<int64_t>{Vocabulary::kPad}) << "b has no city";
  EXPECT_EQ(bag(d, 5, 3), std::vector<int64_t>{}) << "w has no tags: an empty bag";
  EXPECT_EQ(d.item_titles[static_cast<size_t>(d.item[static_cast<size_t>(last)])], "Z!");
}

TEST(Dataset, FillNaAndMinCount) {
  const std::string yaml =
      replaced(replaced(kSmallShop, "{name: city, source: user}", "{name: city, source: user, fill_na: none}"),
               "{name: item}", "{name: item, min_categr_count: 3}");
  const Dataset d = load(small_shop(), yaml);
  EXPECT_EQ(id_of(d, "city", "none"), 1) << "b's rows count for the replacement";
  EXPECT_EQ(bag(d, 1, 1), std::vector<int64_t>{1});
  EXPECT_EQ(bag(d, 5, 2), std::vector<int64_t>{3}) << "w occurs twice: OOV";
}

TEST(Dataset, NumbersAreScaledByTrainingAndMissingIsTheirMean) {
  auto files = small_shop();
  files["views.csv"] = replaced(files["views.csv"], "a,x,1000,0,", "a,x,1000,,");
  const Dataset d = load(files, kSmallShop);
  double sum = 0, squares = 0;  // 0 (missing) 1 2 3 0 1 2 3 0 1 2 3
  for (const double x : {1., 2., 3., 0., 1., 2., 3., 0., 1., 2., 3.}) sum += x, squares += x * x;
  const double mean = sum / 11, deviation = std::sqrt(squares / 11 - mean * mean);
  EXPECT_FLOAT_EQ(d.dense[0], 0.f);
  EXPECT_FLOAT_EQ(d.dense[1], static_cast<float>((1 - mean) / deviation));
  EXPECT_FLOAT_EQ(d.dense[19], static_cast<float>((3 - mean) / deviation));
  const std::string price = "{name: price, type: numeric, source: context";
  const Dataset filled = load(files, replaced(kSmallShop, price, price + ", normalizer: log, fill_na: 7"));
  EXPECT_FLOAT_EQ(filled.dense[0], std::log1p(7.f));
  EXPECT_FLOAT_EQ(filled.dense[3], std::log1p(3.f));
}

TEST(Dataset, LabelsAndTime) {
  auto files = small_shop();
  // the file in another order: rows are sorted by time, ties stay in file order
  files["views.csv"] = "user,item,time,price,clicked\na,x,30,1,5\nb,y,10,2,1\na,y,20,3,4\nb,x,10,4,3.5\na,w,10,5,4.0\n";
  const Dataset d = load(files, replaced(kSmallShop, "0.6, valid", "0.6, valid"));
  EXPECT_EQ(d.timestamp, (std::vector<int64_t>{10, 10, 10, 20, 30}));
  EXPECT_EQ(d.label, (std::vector<float>{0, 0, 1, 1, 1}));
  EXPECT_EQ(d.train, (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(d.valid, (std::vector<int32_t>{3}));
  EXPECT_EQ(d.test, (std::vector<int32_t>{4}));
}

TEST(Dataset, RandomSplitIsSeededAndComplete) {
  const std::string yaml = replaced(kSmallShop, "split: {", "split: {method: random, ");
  const Dataset a = load(small_shop(), yaml), b = load(small_shop(), yaml), c = load(small_shop(), yaml + "seed: 7\n");
  EXPECT_EQ(a.train, b.train);
  EXPECT_NE(a.train, c.train);
  std::set<int32_t> all(a.train.begin(), a.train.end());
  all.insert(a.valid.begin(), a.valid.end());
  all.insert(a.test.begin(), a.test.end());
  EXPECT_EQ(all.size(), 20u);
}

TEST(Dataset, RequestsAreEncodedAsTrainingRowsWere) {
  const TemporaryDirectory directory;
  write_synthetic_store(directory.path(), {.users = 60, .items = 40, .impressions = 500, .seed = 3});
  Config config = Config::load(directory.path() + "/schema.yaml");
  const Schema schema = parse_schema(config.root().child("data"));
  const Dataset d = load_dataset(schema);
  d.map.save(directory.path() + "/feature_map.json");
  const FeatureMap map = FeatureMap::load(directory.path() + "/feature_map.json");
  EXPECT_EQ(map.json(), d.map.json());

  std::map<std::string, std::map<std::string, std::string>> users, items;
  const auto rows_of = [&](const char* name, auto&& f) {
    const MappedFile file(directory.path() + "/" + name);
    CsvReader reader(name, file.text());
    while (reader.next()) {
      std::map<std::string, std::string> row;
      for (size_t c = 0; c < reader.header().size(); ++c) row[reader.header()[c]] = reader.cells()[c];
      f(row);
    }
  };
  rows_of("users.csv", [&](auto& row) { users[row["user_id"]] = row; });
  rows_of("items.csv", [&](auto& row) { items[row["item_id"]] = row; });
  EncodedRow encoded;
  size_t r = 0, missing = 0;
  rows_of("impressions.csv", [&](auto& view) {
    std::vector<std::string> cells;
    for (const FittedFeature& f : map.features) {
      const auto& row = f.spec.source == FeatureSource::User   ? users[view["user_id"]]
                        : f.spec.source == FeatureSource::Item ? items[view["item_id"]]
                                                               : view;
      cells.push_back(row.at(f.spec.column));
      missing += cells.back().empty();
    }
    map.encode_row(std::vector<std::string_view>(cells.begin(), cells.end()), encoded);
    const int64_t* offsets = d.offsets.data() + static_cast<int64_t>(r) * d.fields();
    ASSERT_EQ(encoded.ids, std::vector<int64_t>(d.ids.begin() + offsets[0], d.ids.begin() + offsets[d.fields()]));
    for (int64_t f = 0; f < d.fields(); ++f)
      ASSERT_EQ(encoded.lengths[static_cast<size_t>(f)], offsets[f + 1] - offsets[f]);
    const auto numbers = static_cast<size_t>(d.numbers());
    for (size_t k = 0; k < numbers; ++k) ASSERT_EQ(encoded.dense[k], d.dense[r * numbers + k]);
    ++r;
  });
  EXPECT_EQ(r, 500u);
  EXPECT_GT(missing, 0u) << "some genders are missing";
}

TEST(Dataset, CleanedRowsAreCounted) {
  const Dataset d = load(small_shop(), kSmallShop +
                                           "clean:\n  - {step: rule, column: user, rule: starts_with a}\n"
                                           "  - {step: impossible, column: price, max: 2}\n");
  EXPECT_EQ(d.report.rows_read, 20);
  ASSERT_EQ(d.report.clean.steps.size(), 2u);
  EXPECT_EQ(d.report.clean.steps[0].dropped, 9);
  EXPECT_EQ(d.report.clean.steps[1].dropped + d.rows, 11);
  EXPECT_EQ(d.report.clean.kept, d.rows);
  EXPECT_NE(d.report.str().find("9 dropped: rule user"), std::string::npos) << d.report.str();
  EXPECT_EQ(LoadReport::from_json(d.report.json(), "report").json(), d.report.json());
  EXPECT_EQ(d.split_rows(Split::Train), static_cast<int64_t>(d.train.size()));
}

const std::string kImplicit = R"(interactions: {file: views.csv}
user_id: user
item_id: item
timestamp: {column: time}
split: {train: 0.6, valid: 0.2, test: 0.2}
negatives: {per_positive: 2}
features:
  - {name: user}
  - {name: item}
  - {name: price, type: numeric, source: item, normalizer: none}
)";

std::map<std::string, std::string> purchases() {
  std::string text = "user,item,time,price\n";
  for (int i = 0; i < 300; ++i)
    text += "u" + std::to_string(i * 7 % 23) + ",i" + std::to_string(i * i % 31) + "," + std::to_string(i) + "," +
            std::to_string(i) + "\n";
  return {{"views.csv", text}};
}

TEST(Negatives, AreNeverKnownPositivesAndAreSeeded) {
  const Dataset d = load(purchases(), kImplicit), again = load(purchases(), kImplicit);
  EXPECT_EQ(d.rows, 900);
  EXPECT_EQ(d.report.negatives, 600);
  EXPECT_EQ(d.ids, again.ids);
  EXPECT_NE(d.ids, load(purchases(), kImplicit + "seed: 9\n").ids);
  std::set<std::pair<int32_t, int32_t>> taken;
  for (size_t r = 0; r < 900; ++r)
    if (d.label[r] > 0) taken.emplace(d.user[r], d.item[r]);
  for (size_t r = 0; r < 900; r += 3) {
    ASSERT_EQ(d.label[r], 1.f);
    for (size_t k = r + 1; k < r + 3; ++k) {
      ASSERT_EQ(d.label[k], 0.f);
      ASSERT_EQ(d.user[k], d.user[r]);
      ASSERT_EQ(d.timestamp[k], d.timestamp[r]);
      ASSERT_FALSE(taken.contains({d.user[k], d.item[k]}));
    }
    ASSERT_NE(d.item[r + 1], d.item[r + 2]);
  }
  EXPECT_EQ(d.train.size(), 540u);
}

// A row's price is its time here, so that it tells which earlier row the item's features come from.
TEST(Negatives, ItemFeaturesComeFromThePreviousRowOfTheItem) {
  const Dataset d = load(purchases(), kImplicit);
  std::vector<float> latest(d.item_keys.size(), -1);
  int64_t earlier = 0;
  for (size_t r = 0; r < static_cast<size_t>(d.rows); ++r) {
    const float known = latest[static_cast<size_t>(d.item[r])];
    if (known >= 0) {
      ASSERT_EQ(d.dense[r], known) << r;
      ++earlier;
    }
    // sampled rows between two positives see the item of the positive already sold
    if (d.label[r] > 0) latest[static_cast<size_t>(d.item[r])] = static_cast<float>(d.timestamp[r]);
  }
  EXPECT_GT(earlier, 700);
}

TEST(Negatives, AUserWhoTookEverythingGetsFewer) {
  std::string text = "user,item,time,price\n";
  for (int i = 0; i < 20; ++i) text += std::string("u,i") + std::to_string(i % 2) + "," + std::to_string(i) + ",1\n";
  const Dataset d = load({{"views.csv", text}}, kImplicit);
  EXPECT_EQ(d.report.negatives, 0);
  EXPECT_EQ(d.report.negatives_short, 40);
}

TEST(Negatives, ByPopularity) {
  const Dataset d =
      load(purchases(), replaced(kImplicit, "per_positive: 2", "per_positive: 2, distribution: popularity"));
  EXPECT_EQ(d.report.negatives, 600);
}

// Over all distributions, many users with few items left: no negative is an item that the user took in any split.
TEST(Negatives, NoDistributionGivesAKnownPositive) {
  for (const char* distribution : {"uniform", "popularity", "in_batch"}) {
    for (uint64_t seed = 0; seed < 8; ++seed) {
      std::string text = "user,item,time,price\n";
      Rng rng(seed);
      for (int i = 0; i < 400; ++i)
        text += fmt::format("u{},i{},{},{}\n", rng.below(20), rng.below(12 + seed), rng.below(300), i);
      const Dataset d =
          load({{"views.csv", text}},
               replaced(kImplicit, "per_positive: 2", fmt::format("per_positive: 3, distribution: {}", distribution)));
      std::set<std::pair<int64_t, int64_t>> taken;  // as ids and as keys
      for (size_t r = 0; r < static_cast<size_t>(d.rows); ++r)
        if (d.label[r] > 0) taken.emplace(d.user[r], d.item[r]);
      for (size_t r = 0; r < static_cast<size_t>(d.rows); ++r)
        ASSERT_EQ(d.label[r] > 0, taken.contains({d.user[r], d.item[r]})) << distribution << " " << seed;
      BatchSource source(make_training_source(d, seed), {64, 0});
      int64_t negatives = 0;
      BatchSlot slot;
      for (source.start_epoch(1); source.next(slot);) {
        const auto ids = slot.feeds()[0].span<int64_t>();
        const auto labels = slot.feeds()[2].span<float>();
        for (size_t b = 0; b < static_cast<size_t>(slot.rows); ++b) {
          const auto item = static_cast<size_t>(slot.index[b]);
          const std::string_view name = d.map.features[0].vocabulary.value(ids[b * 2]);
          const auto user = std::ranges::find(d.user_keys, name) - d.user_keys.begin();
          negatives += labels[b] == 0;
          ASSERT_EQ(labels[b] > 0, taken.contains({user, d.item[item]})) << distribution << " " << seed;
          ASSERT_EQ(ids[b * 2 + 1], d.ids[item * 2 + 1]);
        }
      }
      EXPECT_GT(negatives, 200) << distribution;
    }
  }
}

TEST(Negatives, InBatchIsExactAfterASeekAndFollowsPopularity) {
  const std::string yaml = replaced(kImplicit, "per_positive: 2", "per_positive: 2, distribution: in_batch");
  const Dataset d = load(purchases(), yaml);
  EXPECT_EQ(d.train.size(), 180u) << "the positives alone";
  EXPECT_EQ(d.valid.size(), 180u) << "validation and test are sampled uniformly";
  const auto rest = [](BatchSource& source) {
    std::vector<int32_t> rows;
    for (BatchSlot slot; source.next(slot);) {
      EXPECT_LE(slot.rows, 64);
      rows.insert(rows.end(), slot.index.begin(), slot.index.end());
    }
    return rows;
  };
  BatchSource whole(make_training_source(d, 4), {64, 2});
  EXPECT_EQ(whole.batches(), 9) << "180 positives, 21 a batch of 64 rows";
  whole.start_epoch(3);
  BatchSlot slot;
  ASSERT_TRUE(whole.next(slot) && whole.next(slot));
  const std::string cursor = whole.cursor().str();
  EXPECT_EQ(cursor, "epoch=3 row=42");
  const auto after = rest(whole);
  BatchSource resumed(make_training_source(d, 4), {64, 1});
  resumed.seek(Cursor::parse(cursor));
  EXPECT_EQ(rest(resumed), after);
}

struct BadInput {
  const char* name;
  const char *file, *from, *to;  // replaced in that file; file "" for the schema
  const char* error;
};
void PrintTo(const BadInput& b, std::ostream* out) { *out << b.name; }
class BadData : public testing::TestWithParam<BadInput> {};

TEST_P(BadData, IsRefusedWithPlaceAndReason) {
  const BadInput& bad = GetParam();
  auto files = small_shop();
  std::string yaml = kSmallShop;
  if (*bad.file == 0)
    yaml = replaced(yaml, bad.from, bad.to);
  else
    files[bad.file] = *bad.from == 0 ? bad.to : replaced(files[bad.file], bad.from, bad.to);
  try {
    load(files, yaml);
    FAIL() << "no error";
  } catch (const Error& e) { EXPECT_NE(std::string(e.what()).find(bad.error), std::string::npos) << e.what(); }
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadData,
    testing::Values(
        BadInput{"missing_file", "", "file: views.csv", "file: view.csv", "view.csv: cannot be opened"},
        BadInput{"empty_file", "views.csv", "", "", "views.csv:1: the file is empty"},
        BadInput{"wrong_column", "", "column: clicked", "column: cliked",
                 "views.csv: there is no column 'cliked'; did you mean 'clicked'?"},
        BadInput{"wrong_side_column", "", "name: city", "name: citi",
                 "users.csv: there is no column 'citi'; did you mean 'city'?"},
        BadInput{"broken_quote", "views.csv", "b,x,1001", "\"b,x,1001", "views.csv:3: field 1: a quote that is never"},
        BadInput{"ragged_row", "views.csv", "b,x,1001", "b,x,9,1001", "views.csv:3: 6 fields, header has 5"},
        BadInput{"nan_label", "views.csv", "1001,1,2", "1001,1,nan",
                 "views.csv:3: column 'clicked': label 'nan' is not"},
        BadInput{"empty_label", "views.csv", "1001,1,2", "1001,1,", "views.csv:3: column 'clicked': the label is miss"},
        BadInput{"bad_time", "views.csv", "1001", "noon", "views.csv:3: column 'time': 'noon' is not a time"},
        BadInput{"bad_number", "views.csv", "1001,1,", "1001,1x,", "views.csv:3: column 'price': '1x' is not a number"},
        BadInput{"no_user", "views.csv", "b,x,1001", ",x,1001", "views.csv:3: column 'user': is missing; leave such"},
        BadInput{"twice_in_side_table", "users.csv", "c,Bonn", "a,Bonn", "users.csv:4: column 'user': 'a' stands on"},
        BadInput{"not_utf8", "users.csv", "Ulm", "K\xF6ln", "users.csv:2: column 'city': 'K\\xf6ln' is not UTF-8"},
        BadInput{"empty_split", "", "0.6, valid: 0.2, test: 0.2", "0.96, valid: 0.02, test: 0.02",
                 "the valid split is empty: 20 interactions are left"},
        BadInput{"no_rows", "views.csv", "", "user,item,time,price,clicked\n", "no interactions are left"},
        BadInput{"bad_clean", "", "split:", "clean: [{step: missing, columns: [city]}]\nsplit:", "no column 'city'"}),
    [](const auto& row) { return std::string(row.param.name); });

class BadSchema : public testing::TestWithParam<BadInput> {};
TEST_P(BadSchema, IsRefusedWithPlaceAndReason) {
  try {
    schema_of(replaced(kSmallShop, GetParam().from, GetParam().to), "");
    FAIL() << "no error";
  } catch (const ConfigError& e) {
    EXPECT_NE(std::string(e.what()).find(GetParam().error), std::string::npos) << e.what();
  }
}
INSTANTIATE_TEST_SUITE_P(
    Table, BadSchema,
    testing::Values(
        BadInput{"key", "", "type: multi", "tipe: multi", "unknown key"},
        BadInput{"key_of_another_type", "", "{name: item}", "{name: item, max_len: 3}", "unknown key"},
        BadInput{"source", "", "name: city, source: user", "name: city", "source"},
        BadInput{"rule", "", "\">= 4\"", "\"=> 4\"", "rule '=> 4' of column 'clicked': begin with"},
        BadInput{"rule_number", "", "\">= 4\"", "\">= four\"", "'four' is not a number"},
        BadInput{"fractions", "", "train: 0.6", "train: 0.7", "train + valid + test = 1.1"},
        BadInput{"twice", "", "name: city, source: user", "name: user, column: city, source: user", "two features"},
        BadInput{"no_time", "", "timestamp: {column: time}\n", "", "split by time needs the timestamp column"},
        BadInput{"time_format", "", "{column: time}", "{column: time, format: '%Y-%q'}", "time format"},
        BadInput{"no_label", "", "label: {column: clicked, rule: \">= 4\"}\n", "", "without a label"},
        BadInput{"both", "", "split:", "negatives: {per_positive: 1}\nsplit:", "leave out `label` or `negatives`"},
        BadInput{"fill_na", "", "source: context}", "source: context, fill_na: big}", "fill_na 'big' is not a number"},
        BadInput{"separator", "", "{file: views.csv}", "{file: views.csv, separator: ';;'}", "one character"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(FeatureMapFile, RefusesWhatIsNotOne) {
  const auto error = [](const std::string& text) {
    try {
      FeatureMap::from_json(text, "f.json");
    } catch (const DataError& e) { return std::string(e.what()); }
    return std::string("no error");
  };
  const std::string good = load(small_shop(), kSmallShop).map.json();
  EXPECT_EQ(error(good), "no error");
  EXPECT_NE(error("{").find("f.json: "), std::string::npos);
  EXPECT_EQ(error("[1]"), "f.json: not a feature map");
  EXPECT_EQ(error(replaced(good, "\"version\": 2", "\"version\": 9")),
            "f.json: version 9, this program reads versions 1 and 2");
  EXPECT_NE(error(replaced(good, "\"a\"", "\"b\"")).find("feature 1: the vocabulary holds 'b' twice"),
            std::string::npos);
  EXPECT_NE(error(replaced(good, "\"multi\"", "\"mult\"")).find("did you mean 'multi'"), std::string::npos);
  EXPECT_NE(error(replaced(good, "\"deviation\": ", "\"deviation\": -")).find("deviation -"), std::string::npos);
}

TEST(Time, Formats) {
  EXPECT_EQ(TimeFormat("unix").parse("881250949"), 881250949);
  EXPECT_EQ(TimeFormat("unix").parse("881250949.75"), 881250949);
  EXPECT_EQ(TimeFormat("unix_ms").parse("881250949123"), 881250949);
  EXPECT_EQ(TimeFormat("%Y-%m-%d %H:%M:%S").parse("2010-12-01 08:26:00"), 1291191960);
  EXPECT_EQ(TimeFormat("%m/%d/%Y %H:%M").parse("12/1/2010 8:26"), 1291191960);
  EXPECT_EQ(TimeFormat("%Y-%m-%d").parse("2012-02-29"), 1330473600);
  EXPECT_EQ(format_date(1291191960), "2010-12-01 08:26:00");
  for (const char* bad : {"2011-02-29", "2010-13-01", "2010-12-01 ", "10-12-01", "2010-12", "", "x"})
    EXPECT_FALSE(TimeFormat("%Y-%m-%d").parse(bad)) << bad;
  for (const char* bad : {"", "nan", "1e99", "12x"}) EXPECT_FALSE(TimeFormat("unix").parse(bad)) << bad;
  EXPECT_THROW(TimeFormat("%Y-%m"), ConfigError);
}

// Real files, where they are: WINNOW_DATA (default ../shared/data) or data_cache.
Dataset load_example(const char* example, const std::string& folder) {
  Config config = Config::load(std::string("examples/ctr/") + example);
  config.apply_override("data.path=" + folder);
  return load_dataset(parse_schema(config.root().child("data")));
}

TEST(RealFiles, MovieLens100k) {
  const std::string folder = "data_cache/ml-100k";
  if (!file_exists(folder + "/ml-100k.inter"))
    GTEST_SKIP() << folder << "/ml-100k.inter is missing; scripts/get_movielens.sh fetches it";
  const Dataset d = load_example("movielens100k.yaml", folder);
  EXPECT_EQ(d.rows, 100000);
  EXPECT_EQ(d.train.size(), 80000u);
  EXPECT_EQ(d.valid.size(), 10000u);
  std::vector<int64_t> sizes;
  for (size_t f = 0; f < d.map.fields().size(); ++f) sizes.push_back(d.map.rows(f) - 2);
  EXPECT_EQ(sizes, (std::vector<int64_t>{751, 59, 2, 21, 648, 1616, 73, 19}));
}

TEST(RealFiles, OnlineRetail) {
  const char* data = std::getenv("WINNOW_DATA");
  const std::string packed = std::string(data != nullptr ? data : "../shared/data") + "/online_retail.csv.zst";
  if (!file_exists(packed)) GTEST_SKIP() << packed << " is missing; WINNOW_DATA names the folder that has it";
  const TemporaryDirectory folder;
  const std::string unpack = "zstd -dq '" + packed + "' -o '" + folder.path() + "/online_retail.csv'";
  if (std::system(unpack.c_str()) != 0) GTEST_SKIP() << "zstd could not unpack " << packed;
  const Dataset d = load_example("online_retail.yaml", folder.path());
  EXPECT_EQ(d.report.rows_read, 541909);
  EXPECT_EQ(d.report.negatives, 4 * d.report.clean.kept);
}

}  // namespace
}  // namespace winnow
