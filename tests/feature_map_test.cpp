// Every kind of feature: how it is fitted, that requests are encoded as training rows were, and what is refused.
#include <algorithm>
#include <cmath>
#include <random>

#include "core/file.h"
#include "core/text.h"
#include "data/feature_fitter.h"
#include "data/hash.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

FeatureSpec spec(FeatureType type) {
  FeatureSpec s;
  s.name = s.column = "f";
  s.type = type;
  return s;
}
FittedFeature fit(const FeatureSpec& s, const std::vector<std::string>& cells) {
  FeatureFitter fitter(s);
  for (const std::string& cell : cells) fitter.add(cell);
  return std::move(fitter).finish();
}
std::vector<int64_t> ids(const FittedFeature& f, std::string_view cell) {
  std::vector<int64_t> out;
  FeatureMap::encode_ids(f, cell, out);
  return out;
}
std::vector<float> floats(const FittedFeature& f, std::string_view cell) {
  std::vector<float> out;
  FeatureMap::encode_dense(f, cell, out);
  EXPECT_EQ(static_cast<int64_t>(out.size()), f.width());
  return out;
}

TEST(Fitter, SameBitsInAnyOrderOfCellsAndMerges) {
  std::mt19937_64 random(3);
  std::vector<double> numbers;
  std::lognormal_distribution<double> draw(0, 4);
  for (int i = 0; i < 100000; ++i) numbers.push_back(draw(random) * (i % 3 == 0 ? -1e6 : 1));
  for (const Normalizer normalizer :
       {Normalizer::Quantile, Normalizer::Standard, Normalizer::LogStandard, Normalizer::MinMax}) {
    FeatureSpec s = spec(FeatureType::Numeric);
    s.normalizer = normalizer;
    numbers.resize(normalizer == Normalizer::Quantile ? 100000 : 10000);  // more than are counted exactly, or just many
    const auto fitted = [&](size_t parts) {
      std::vector<FeatureFitter> fitters(parts, FeatureFitter(s));
      for (size_t i = 0; i < numbers.size(); ++i) fitters[i % parts].add_number(numbers[i]);
      while (fitters.size() > 1) {
        fitters[fitters.size() / 2 - 1].merge(fitters.back());
        fitters.pop_back();
      }
      return std::move(fitters[0]).finish();
    };
    const FittedFeature one = fitted(1);
    std::ranges::shuffle(numbers, random);
    const FittedFeature seven = fitted(7);
    EXPECT_EQ(one.mean, seven.mean);
    EXPECT_EQ(one.deviation, seven.deviation);
    EXPECT_EQ(one.missing, seven.missing);
    EXPECT_EQ(one.knots, seven.knots);
    EXPECT_EQ(one.levels, seven.levels);
  }
}

TEST(Fitter, TheDeviationSurvivesALargeMean) {
  FeatureFitter fitter(spec(FeatureType::Numeric));
  for (int i = 0; i < 1000; ++i) fitter.add_number(1e15 + i % 2);  // x^2 alone would lose the difference
  const FittedFeature f = std::move(fitter).finish();
  EXPECT_EQ(f.deviation, 0.5);
  EXPECT_THROW(fit(spec(FeatureType::Numeric), {"1e300", "-1e300"}), DataError);
}

TEST(Fitter, CountsStandForRepeatedCells) {
  FeatureSpec s = spec(FeatureType::Numeric);
  FeatureFitter once(s), counted(s);
  for (const double x : {0.1, 0.7, 1e9})
    for (int i = 0; i < 7; ++i) once.add_number(x);
  for (const double x : {1e9, 0.1, 0.7}) counted.add_number(x, 7);
  const FittedFeature a = std::move(once).finish(), b = std::move(counted).finish();
  EXPECT_EQ(a.mean, b.mean);
  EXPECT_EQ(a.deviation, b.deviation);
}

TEST(Numbers, MinMaxIsLinearBetweenTheTrainingExtremes) {
  FeatureSpec s = spec(FeatureType::Numeric);
  s.normalizer = Normalizer::MinMax;
  const FittedFeature f = fit(s, {"10", "20", "", "15"});
  EXPECT_EQ(floats(f, "10"), std::vector<float>{0});
  EXPECT_EQ(floats(f, "12.5"), std::vector<float>{0.25f});
  EXPECT_EQ(floats(f, "30"), std::vector<float>{2}) << "not cut off";
  EXPECT_EQ(floats(f, ""), std::vector<float>{0.5f}) << "the mean";
  EXPECT_EQ(floats(fit(s, {"3", "3"}), "3"), std::vector<float>{0}) << "a constant";
}

TEST(Numbers, QuantileIsTheEmpiricalDistribution) {
  FeatureSpec s = spec(FeatureType::Numeric);
  s.normalizer = Normalizer::Quantile;
  const FittedFeature f = fit(s, {"1", "1", "5", "9"});
  EXPECT_EQ(f.knots, (std::vector<double>{1, 5, 9}));
  EXPECT_EQ(f.levels, (std::vector<double>{0.25, 0.625, 0.875})) << "(below + equal / 2) / n";
  EXPECT_EQ(floats(f, "3"), std::vector<float>{0.4375f});
  EXPECT_EQ(floats(f, "-7"), std::vector<float>{0.25f});
  EXPECT_EQ(floats(f, "99"), std::vector<float>{0.875f});
  EXPECT_EQ(floats(f, ""), std::vector<float>{0.5f});
}

TEST(Numbers, QuantileOfManyValuesIsUniform) {
  FeatureSpec s = spec(FeatureType::Numeric);
  s.normalizer = Normalizer::Quantile;
  FeatureFitter fitter(s);
  std::mt19937_64 random(5);
  std::lognormal_distribution<double> draw(2, 1.5);
  std::vector<double> numbers;
  for (int i = 0; i < 200000; ++i) fitter.add_number(numbers.emplace_back(draw(random)));
  const FittedFeature f = std::move(fitter).finish();
  ASSERT_LE(static_cast<int64_t>(f.knots.size()), kMaxKnots);
  ASSERT_GE(f.knots.size(), 900u);
  std::ranges::sort(numbers);
  for (size_t i = 0; i < numbers.size(); i += 997)
    ASSERT_NEAR(f.scaled(numbers[i]), (static_cast<double>(i) + 0.5) / static_cast<double>(numbers.size()), 2e-3) << i;
}

TEST(Numbers, BoundariesAndQuantilesMakeIds) {
  FeatureSpec s = spec(FeatureType::Numeric);
  s.boundaries = {18, 25.5, 65};
  FittedFeature f = fit(s, {"7"});
  EXPECT_EQ(f.rows(), 5) << "PAD and four intervals";
  for (const auto& [cell, id] : std::map<std::string, int64_t>{
           {"-3", 1}, {"18", 2}, {"25.4", 2}, {"25.5", 3}, {"65", 4}, {"", Vocabulary::kPad}})
    EXPECT_EQ(ids(f, cell), std::vector<int64_t>{id}) << cell;
  s.boundaries.clear();
  s.quantiles = 4;
  s.fill_na = "6";
  f = fit(s, {"1", "2", "3", "4", "5", "6", "7", "8"});
  EXPECT_EQ(f.boundaries, (std::vector<double>{3, 5, 7}));
  EXPECT_EQ(ids(f, ""), std::vector<int64_t>{3});
  EXPECT_EQ(fit(s, {"1", "1", "1", "1", "1", "1", "1", "9"}).boundaries, std::vector<double>{9}) << "each cut once";
  EXPECT_TRUE(fit(s, {"4", "4"}).boundaries.empty());
}

TEST(Ids, SequencesKeepTheLatestPartsMultiTheFirst) {
  FeatureSpec s = spec(FeatureType::Sequence);
  s.separator = ">";
  s.max_len = 3;
  const FittedFeature f = fit(s, {"a>b>c>d>>e", "e>d", "e"});  // counted: c d e, e d, e
  EXPECT_EQ(f.vocabulary.size(), 3);
  EXPECT_EQ(ids(f, "a>b>c>d>>e"), (std::vector<int64_t>{3, 2, 1}));
  EXPECT_EQ(ids(f, "e>"), std::vector<int64_t>{1});
  EXPECT_EQ(ids(f, ">"), std::vector<int64_t>{});
  s.type = FeatureType::Multi;
  EXPECT_EQ(ids(fit(s, {"a>b>c>d"}), "a>b>c>d"), (std::vector<int64_t>{1, 2, 3}));
}

TEST(Ids, TextIsWordsAndIdeographsInNormalForm) {
  FeatureSpec s = spec(FeatureType::Text);
  s.max_len = 8;
  const FittedFeature f = fit(s, {"Rote Straße, ROTE Ampel!", "ｒｏｔｅ 東京タワー"});
  std::vector<std::string> words;
  for (int64_t id = 1; id <= f.vocabulary.size(); ++id) words.emplace_back(f.vocabulary.value(id));
  EXPECT_EQ(words, (std::vector<std::string>{"rote", "ampel", "strasse", "タ", "ワ", "ー", "京", "東"}));
  EXPECT_EQ(ids(f, "strasse ampel"), ids(f, "STRASSE/AMPEL"));
  EXPECT_EQ(ids(f, "?!"), std::vector<int64_t>{});
  EXPECT_EQ(ids(f, "a b c d e f g h i").size(), 8u) << "max_len";
  EXPECT_EQ(ids(f, "rote \xFF rote"), (std::vector<int64_t>{1, 1})) << "broken UTF-8 of a request separates";
}

// Of libxxhash 0.8.1, XXH64().
TEST(Ids, HashIsXxh64) {
  std::string bytes;
  for (int i = 0; i < 101; ++i) bytes += static_cast<char>(i);
  struct Vector {
    std::string_view text;
    uint64_t plain, seeded;
  };
  for (const Vector& v : std::initializer_list<Vector>{
           {"", 0xef46db3751d8e999, 0xac75fda2929b17ef},
           {"a", 0xd24ec4f1a98c6e5b, 0x393da8b78992279b},
           {"abc", 0x44bc2cf5ad770999, 0x1318df30094a85fd},
           {"12345678", 0xd2d02f08cf7cfd4a, 0xd0776c50642522a3},
           {"123456789012", 0xb5cee4c943d43c7e, 0xde675c54bd6030b2},
           {"Nobody inspects the spammish repetition", 0xfbcea83c8a378bf1, 0x56db22dd5b051147},
           {bytes, 0xe99038495f85381e, 0xa1c6d4174c37136d}}) {
    EXPECT_EQ(xxh64(v.text), v.plain) << v.text;
    EXPECT_EQ(xxh64(v.text, 2654435761), v.seeded) << v.text;
  }
}

TEST(Ids, HashedValuesNeedNoVocabulary) {
  FeatureSpec s = spec(FeatureType::Categorical);
  s.hash_bucket_size = 1000;
  const FittedFeature f = fit(s, {"a", "b"});
  EXPECT_EQ(f.vocabulary.size(), 0);
  EXPECT_EQ(f.rows(), 1001);
  EXPECT_EQ(f.oov(), -1);
  EXPECT_EQ(ids(f, "abc"), std::vector<int64_t>{int64_t{1} + 0x44bc2cf5ad770999 % 1000});
  EXPECT_EQ(ids(f, ""), std::vector<int64_t>{Vocabulary::kPad});
}

TEST(OneHot, AColumnForEachValue) {
  FeatureSpec s = spec(FeatureType::Categorical);
  s.encoding = Encoding::OneHot;
  const FittedFeature f = fit(s, {"x", "y", "x"});
  EXPECT_EQ(floats(f, "x"), (std::vector<float>{1, 0}));
  EXPECT_EQ(floats(f, "y"), (std::vector<float>{0, 1}));
  EXPECT_EQ(floats(f, "new"), (std::vector<float>{0, 0}));
  EXPECT_EQ(floats(f, ""), (std::vector<float>{0, 0}));
  std::vector<std::string> many;
  for (int i = 0; i < 1025; ++i) many.push_back(std::to_string(i));
  EXPECT_THROW(fit(s, many), DataError);
}

// A table of every kind of feature, with missing cells, values that only later rows have, and repeats.
std::map<std::string, std::string> wide_shop() {
  std::mt19937 random(11);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const auto list = [&](const char* separator) {
    std::string cell;
    for (int i = below(6); i > 0; --i) cell += "v" + std::to_string(below(9)) + separator;
    return cell;
  };
  std::string views = "user,item,time,click,shelf,last,tags,history,about,price,age,photo\n";
  for (int i = 0; i < 200; ++i)
    views +=
        fmt::format("u{},i{},{},{},{},{},{},{},\"{}\",{},{},{}\n", below(9), below(12), i, below(2),
                    i % 7 == 0 ? "" : fmt::format("s{}", below(4)), i % 5 == 0 ? "" : fmt::format("i{}", below(15)),
                    list("|"), list(">"), i % 9 == 0 ? "" : fmt::format("Große {} Tüte, 東{}", below(5), below(3)),
                    i % 4 == 0 ? "" : fmt::format("{:.2f}", below(1000) / 7.0), below(80),
                    i % 6 == 0 ? "" : fmt::format("p{}.ppm", below(3)));
  std::map<std::string, std::string> files = {{"views.csv", views}};
  for (int p = 0; p < 3; ++p)
    files[fmt::format("p{}.ppm", p)] = "P6 2 2 255\n" + std::string(12, static_cast<char>(40 * p + 5));
  return files;
}
const std::string kWideShop = R"(interactions: {file: views.csv}
user_id: user
item_id: item
split: {train: 0.6, valid: 0.2, test: 0.2}
features:
  - {name: time, type: timestamp, format: unix}
  - {name: click, type: label}
  - {name: user, embedding_dim: 4}
  - {name: item, embedding_dim: 8}
  - {name: last, source: context, share_embedding: item, embedding_dim: 8}
  - {name: shelf, source: context, encoding: one_hot}
  - {name: shelf2, source: context, column: shelf, hash_bucket_size: 7, fill_na: none}
  - {name: tags, type: multi, source: context, separator: "|", max_len: 3, hash_bucket_size: 50}
  - {name: history, type: sequence, source: context, separator: ">", max_len: 3, min_categr_count: 9, fill_na: v1>v2}
  - {name: about, type: text, source: context, max_len: 4, pooling: max}
  - {name: price, type: numeric, source: context, normalizer: quantile}
  - {name: price2, type: numeric, source: context, column: price, normalizer: min_max, fill_na: "3"}
  - {name: price3, type: numeric, source: context, column: price, quantiles: 5}
  - {name: age, type: numeric, source: context, boundaries: [18, 65], embedding_dim: 2}
  - {name: age2, type: numeric, source: context, column: age, normalizer: log_standard}
  - {name: photo, type: image, source: context, size: 2}
)";

TEST(FeatureMap, RequestsAreEncodedAsTheRowsOfEveryKindOfFeature) {
  const TemporaryDirectory directory;
  for (const auto& [name, text] : wide_shop()) directory.write(name, text);
  const Dataset d = load_dataset(schema_of(kWideShop, directory.path()));
  d.map.save(directory.path() + "/feature_map.json");
  const FeatureMap map = FeatureMap::load(directory.path() + "/feature_map.json");
  ASSERT_EQ(map.json(), d.map.json());
  ASSERT_EQ(map.dense_width(), d.map.dense_width());
  EXPECT_EQ(map.dense_width(), 4 + 1 + 1 + 1 + 12);
  for (size_t i = 0; i < map.features.size(); ++i) EXPECT_EQ(map.features[i].spec, d.map.features[i].spec);

  const MappedFile file(directory.path() + "/views.csv");
  CsvReader reader("views.csv", file.text());
  EncodedRow row;
  size_t r = 0;
  for (; reader.next(); ++r) {
    std::vector<std::string_view> cells;
    for (const FittedFeature& f : map.features) cells.push_back(reader.cells()[reader.column(f.spec.column)]);
    map.encode_row(cells, row);
    const int64_t* offsets = d.offsets.data() + static_cast<int64_t>(r) * d.fields();
    ASSERT_EQ(row.ids, std::vector<int64_t>(d.ids.begin() + offsets[0], d.ids.begin() + offsets[d.fields()])) << r;
    for (int64_t f = 0; f < d.fields(); ++f) {
      ASSERT_EQ(row.lengths[static_cast<size_t>(f)], offsets[f + 1] - offsets[f]);
      for (int64_t k = offsets[f]; k < offsets[f + 1]; ++k)
        ASSERT_LT(d.ids[static_cast<size_t>(k)], map.rows(static_cast<size_t>(f)));
    }
    const auto width = static_cast<int64_t>(map.dense_width());
    const auto* dense = d.dense.data() + static_cast<int64_t>(r) * width;
    ASSERT_EQ(row.dense, std::vector<float>(dense, dense + width)) << r;
  }
  EXPECT_EQ(r, 200u);
}

TEST(FeatureMap, SharedVocabulariesCountBothFeatures) {
  const TemporaryDirectory directory;
  for (const auto& [name, text] : wide_shop()) directory.write(name, text);
  const Dataset d = load_dataset(schema_of(kWideShop, directory.path()));
  const FittedFeature &item = d.map.features[d.map.feature("item")], &last = d.map.features[d.map.feature("last")];
  EXPECT_NE(item.vocabulary.id("i14"), item.oov()) << "item numbers end at 11; `last` has it";
  EXPECT_EQ(item.rows(), last.rows());
  for (int i = 0; i < 15; ++i) EXPECT_EQ(ids(item, fmt::format("i{}", i)), ids(last, fmt::format("i{}", i)));
  EXPECT_EQ(d.map.shared_field(2), 1);
  EXPECT_EQ(d.map.shared_field(1), -1);
}

TEST(FeatureMap, RolesMayStandAmongTheFeatures) {
  const std::string both = replaced(kWideShop, "  - {name: user, embedding_dim: 4}",
                                    "  - {name: w, type: weight, column: age}\n  - {name: user, embedding_dim: 4}");
  const Schema entries = schema_of(replaced(both, "type: label}", "type: label, rule: '>= 1'}"), "");
  EXPECT_EQ(entries.timestamp, "time");
  EXPECT_EQ(entries.time_format, "unix");
  EXPECT_EQ(entries.label->column, "click");
  EXPECT_EQ(entries.label->number, 1);
  EXPECT_EQ(entries.weight, "age");
  EXPECT_EQ(entries.features[0].name, "user") << "they are no features";
}

// A file of the first version, as its program wrote it.
TEST(FeatureMap, ReadsVersion1) {
  const std::string first = R"({
 "format": "winnow feature map", "version": 1, "user_id": "u", "item_id": "i",
 "features": [
  {"name": "u", "type": "categorical", "source": "user", "column": "u", "min_categr_count": 1, "vocabulary": ["a", "b"]},
  {"name": "t", "type": "multi", "source": "item", "column": "t", "fill_na": "x", "min_categr_count": 2, "max_len": 3,
   "separator": "|", "pooling": "sum", "vocabulary": ["x"]},
  {"name": "p", "type": "numeric", "source": "item", "column": "p", "normalizer": "log_standard", "mean": 1,
   "deviation": 0.5, "missing": -1.5}]})";
  const FeatureMap map = FeatureMap::from_json(first, "f.json");
  EncodedRow row;
  map.encode_row(std::vector<std::string_view>{"b", "", "0"}, row);
  EXPECT_EQ(row.ids, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(row.dense, std::vector<float>{-2});
}

struct BadMap {
  const char *from, *to, *error;
};
TEST(FeatureMap, HostileFilesAreRefused) {
  const TemporaryDirectory directory;
  for (const auto& [name, text] : wide_shop()) directory.write(name, text);
  const std::string good = load_dataset(schema_of(kWideShop, directory.path())).map.json();
  EXPECT_NO_THROW(FeatureMap::from_json(good, "f.json"));
  for (const BadMap& bad : std::initializer_list<BadMap>{
           {"\"hash\": \"xxh64\"", "\"hash\": \"md5\"", "hash 'md5' with seed 0; this program has xxh64"},
           {"\"hash_bucket_size\": 7", "\"hash_bucket_size\": -7", "hash_bucket_size -7 must be"},
           {"\"hash_bucket_size\": 7", "\"hash_bucket_size\": 7.5", "hash_bucket_size: expected an integer"},
           {"\"share_embedding\": \"item\"", "\"share_embedding\": \"photo\"", "name a feature that comes earlier"},
           {"\"share_embedding\": \"item\"", "\"share_embedding\": \"x\"", "there is no such feature"},
           {"\"size\": 2", "\"size\": 3", "mean_image has 12 numbers, size 3 wants 27"},
           {"\"size\": 2", "\"size\": 4294967296", "size 4294967296 must be 1 to 256"},
           {"\"boundaries\": [18,65]", "\"boundaries\": [65,18]", "boundaries must be finite and rise"},
           {"\"boundaries\": [18,65]", "\"boundaries\": [18,[65]]", "a list where none belongs"},
           {"\"boundaries\": [18,65]", "\"boundaries\": \"18\"", "feature 12: key 'boundaries' is missing"},
           {"\"levels\": [", "\"levels\": [-1,", "equally many"},
           {"\"source\": \"context\"", "\"source\": \"context\", \"colour\": 1", "unknown key 'colour'"},
           {"\"source\": \"context\"", "\"source\": \"context\", \"source\": \"user\"", "key 'source' twice"},
           {"\"max_len\": 3", "\"max_len\": 0", "max_len 0 must be 1 to 65536"},
           {"\"version\": 2", "\"version\": 2.5", "version 2.5"},
           {"\"name\": \"last\"", "\"name\": \"user\"", "two features are named 'user'"}}) {
    try {
      FeatureMap::from_json(replaced(good, bad.from, bad.to), "f.json");
      ADD_FAILURE() << "no error for " << bad.to;
    } catch (const DataError& e) {
      EXPECT_NE(std::string(e.what()).find(bad.error), std::string::npos) << e.what();
      EXPECT_EQ(std::string(e.what()).find("f.json: "), 0u);
    }
  }
}

class BadFeature : public testing::TestWithParam<BadMap> {};
TEST_P(BadFeature, IsRefusedWithPlaceAndReason) {
  const BadMap& bad = GetParam();
  try {
    schema_of(replaced(kWideShop, bad.from, bad.to), "");
    FAIL() << "no error";
  } catch (const ConfigError& e) {
    EXPECT_NE(std::string(e.what()).find(bad.error), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("data.yaml"), std::string::npos) << e.what();
  }
}
INSTANTIATE_TEST_SUITE_P(
    Table, BadFeature,
    testing::Values(BadMap{"split:", "timestamp: {column: time}\nsplit:", "the timestamp is given twice"},
                    BadMap{"split:", "label: {column: click}\nsplit:", "the label is given twice"},
                    BadMap{"{name: user, embedding_dim: 4}", "{name: click, type: label}", "the label is given twice"},
                    BadMap{"embedding_dim: 8}\n  - {name: shelf,", "embedding_dim: 4}\n  - {name: shelf,",
                           "embedding_dim is 4 here"},
                    BadMap{"share_embedding: item", "share_embedding: history", "name a feature that comes earlier"},
                    BadMap{"encoding: one_hot", "encoding: one_hot, embedding_dim: 3", "unknown key"},
                    BadMap{"encoding: one_hot", "encoding: onehot", "one_hot"},
                    BadMap{"hash_bucket_size: 7", "hash_bucket_size: 7, min_categr_count: 2", "unknown key"},
                    BadMap{"boundaries: [18, 65]", "boundaries: [65, 18]", "boundaries must rise: 65, 18"},
                    BadMap{"boundaries: [18, 65]", "boundaries: [18, 65], quantiles: 3", "give one of them"},
                    BadMap{"boundaries: [18, 65]", "boundaries: [18, 65], normalizer: log", "unknown key"},
                    BadMap{"normalizer: quantile", "normalizer: quantil", "quantile"},
                    BadMap{"type: text, source: context, max_len: 4", "type: text, source: context", "max_len"},
                    BadMap{"type: text, source: context", "type: text, source: context, separator: ','", "unknown key"},
                    BadMap{"type: image, source: context, size: 2", "type: image, source: context, size: 257", "256"}),
    [](const auto& row) { return fmt::format("row_{}", row.index); });

}  // namespace
}  // namespace winnow
