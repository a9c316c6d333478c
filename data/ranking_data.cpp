#include "data/ranking_data.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <optional>

#include "core/error.h"
#include "core/rng.h"
#include "core/text.h"
#include "data/feature_fitter.h"
#include "data/string_index.h"
#include "data/term_match.h"

namespace winnow {
namespace {

FeatureSpec numeric_feature(const std::string& name, Normalizer normalizer) {
  FeatureSpec spec;
  spec.name = spec.column = name;
  spec.type = FeatureType::Numeric;
  spec.normalizer = normalizer;
  return spec;
}

FeatureMap fit(const RankingRows& rows, Normalizer normalizer) {
  FeatureMap map;
  const size_t width = rows.features.size();
  for (size_t f = 0; f < width; ++f) {
    FeatureFitter fitter(numeric_feature(rows.features[f], normalizer));
    for (size_t at = f; at < rows.values.size(); at += width) fitter.add_number(double{rows.values[at]});
    map.features.push_back(std::move(fitter).finish());
  }
  map.index();
  return map;
}

void scale_within_queries(const RankingRows& rows, QueryScaling scaling, std::vector<float>& x) {
  const int64_t width = static_cast<int64_t>(rows.features.size());
  for (int64_t q = 0; q < rows.query_count(); ++q) {
    const int64_t begin = rows.offsets[static_cast<size_t>(q)], end = rows.offsets[static_cast<size_t>(q) + 1];
    const auto n = static_cast<double>(end - begin);
    for (int64_t f = 0; f < width; ++f) {
      const auto at = [&](int64_t r) -> float& { return x[static_cast<size_t>(r * width + f)]; };
      double sum = 0, squares = 0;
      for (int64_t r = begin; r < end; ++r) sum += double{at(r)};
      const double mean = sum / n;
      for (int64_t r = begin; r < end; ++r) squares += (double{at(r)} - mean) * (double{at(r)} - mean);
      const double deviation = std::sqrt(squares / n);
      // a constant leaves rounding errors of its mean, which a division by them would make features of
      const double divisor = scaling == QueryScaling::Standard && deviation > 1e-6 * std::abs(mean) ? deviation : 1;
      for (int64_t r = begin; r < end; ++r) at(r) = static_cast<float>((double{at(r)} - mean) / divisor);
    }
  }
}

std::vector<float> encode(const RankingRows& rows, const FeatureMap& map, QueryScaling scaling) {
  std::vector<float> x;
  x.reserve(rows.values.size());
  for (size_t at = 0; at < rows.values.size(); ++at)
    FeatureMap::encode_dense(map.features[at % map.features.size()], double{rows.values[at]}, x);
  if (scaling != QueryScaling::None) scale_within_queries(rows, scaling, x);
  return x;
}

// The texts of a table, by key.
class Texts {
 public:
  explicit Texts(const KeyedTexts& table) : name_(table.source.name()) {
    const auto reader = open_rows(table.source);
    const size_t key = reader->column(table.key);
    std::vector<size_t> columns;
    for (const std::string& column : table.columns) columns.push_back(reader->column(column));
    for (RowBlock block; reader->next(block);)
      for (int64_t r = 0; r < block.rows; ++r) {
        const int32_t number = index_.add(block.cell(r, key));
        if (static_cast<size_t>(number) < texts_.size())
          block.fail(r, table.key, fmt::format("{} is given twice", quoted(block.cell(r, key))));
        std::string text;
        for (const size_t column : columns) {
          if (!text.empty() && !block.cell(r, column).empty()) text += ' ';
          text += block.cell(r, column);
        }
        texts_.push_back(std::move(text));
      }
  }
  const std::vector<std::string>& all() const { return texts_; }
  const std::string& of(const std::string& key, const std::string& what, const std::string& rows) const {
    const int32_t number = index_.find(key);
    WN_CHECK(number >= 0, DataError, "{}: the {} {} is not in {}", rows, what, quoted(key), name_);
    return texts_[static_cast<size_t>(number)];
  }

 private:
  std::string name_;
  StringIndex index_;
  std::vector<std::string> texts_;
};

// What belongs to each table of rows: texts read once.
class Loader {
 public:
  explicit Loader(const RankingSchema& schema) : schema_(schema) {
    if (schema.queries.source.given()) queries_.emplace(schema.queries);
    if (schema.items.source.given()) items_.emplace(schema.items);
    columns_ = schema.columns;
    for (const auto& list : {schema.query_text, schema.item_text})
      columns_.texts.insert(columns_.texts.end(), list.begin(), list.end());
    if (schema.text_features.empty()) return;
    tokenizer_ = load_tokenizer(schema.text_features);
    matcher_.emplace(*tokenizer_, items_->all());
  }

  // like: the features of an earlier table; null: those that this one has.
  RankingSplit read(const RankingSource& source, const std::vector<std::string>* like, bool labels) const {
    std::vector<std::string> columns;
    if (like != nullptr)
      std::ranges::copy_if(*like, std::back_inserter(columns),
                           [](const std::string& name) { return !name.starts_with(kTextFeaturePrefix); });
    RankingSplit split;
    split.rows =
        read_ranking_rows(source, columns_, schema_.absent_is_zero, like != nullptr ? &columns : nullptr, labels);
    if (schema_.texts) look_up(split);
    if (matcher_) add_text_features(split);
    WN_CHECK(schema_.texts || !split.rows.features.empty(), DataError, "{}: no column is left to be a feature",
             split.rows.name);
    return split;
  }

  std::vector<std::string> documents(const RankingSplit& train) const {
    return items_ ? items_->all() : train.item_texts;
  }

 private:
  static std::string joined(const RankingRows& rows, size_t first, size_t last, size_t r) {
    std::string text;
    for (size_t t = first; t < last; ++t)
      (text += text.empty() || rows.texts[t][r].empty() ? "" : " ") += rows.texts[t][r];
    return text;
  }
  void look_up(RankingSplit& split) const {
    const RankingRows& rows = split.rows;
    const size_t of_query = schema_.query_text.size(), all = columns_.texts.size();
    for (size_t q = 0; q < rows.queries.size(); ++q)
      split.query_texts.push_back(queries_ ? queries_->of(rows.queries[q], "query", rows.name)
                                  : rows.offsets[q] < rows.offsets[q + 1]
                                      ? joined(rows, 0, of_query, static_cast<size_t>(rows.offsets[q]))
                                      : "");
    for (size_t r = 0; r < rows.labels.size(); ++r)
      split.item_texts.push_back(items_ ? items_->of(rows.items[r], "item", rows.name)
                                        : joined(rows, of_query, all, r));
  }

  void add_text_features(RankingSplit& split) const {
    RankingRows& rows = split.rows;
    const std::vector<float> before = std::move(rows.values);
    const auto width = static_cast<int64_t>(rows.features.size());
    rows.values.clear();
    for (size_t q = 0; q < rows.queries.size(); ++q)
      for (int64_t r = rows.offsets[q]; r < rows.offsets[q + 1]; ++r) {
        rows.values.insert(rows.values.end(), before.begin() + r * width, before.begin() + (r + 1) * width);
        matcher_->features(split.query_texts[q], split.item_texts[static_cast<size_t>(r)], rows.values);
      }
    const auto& names = TermMatch::feature_names();
    rows.features.insert(rows.features.end(), names.begin(), names.end());
  }

  const RankingSchema& schema_;
  RankingColumns columns_;
  std::optional<Texts> queries_, items_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<TermMatch> matcher_;
};

// Some queries of a split that has no scaled features yet.
RankingSplit select(const RankingSplit& all, const std::vector<int64_t>& chosen) {
  RankingSplit some;
  some.rows = select_queries(all.rows, chosen);
  if (all.query_texts.empty()) return some;
  for (const int64_t query : chosen) {
    const auto q = static_cast<size_t>(query);
    some.query_texts.push_back(all.query_texts[q]);
    some.item_texts.insert(some.item_texts.end(), all.item_texts.begin() + all.rows.offsets[q],
                           all.item_texts.begin() + all.rows.offsets[q + 1]);
  }
  return some;
}

// Takes `fraction` of the queries (at least one) out of `left`, by numbers drawn before.
std::vector<int64_t> take(std::vector<int64_t>& left, double fraction, size_t all) {
  const auto wanted = std::max<size_t>(1, static_cast<size_t>(fraction * static_cast<double>(all)));
  const size_t n = std::min(left.size(), wanted);
  std::vector<int64_t> taken(left.end() - static_cast<std::ptrdiff_t>(n), left.end());
  left.resize(left.size() - n);
  std::ranges::sort(taken);
  return taken;
}

}  // namespace

RankingData load_ranking_data(const RankingSchema& schema, const FeatureMap* fitted) {
  const Loader loader(schema);
  RankingData data;
  std::vector<std::string> names;
  if (fitted != nullptr)
    for (const FittedFeature& f : fitted->features) names.push_back(f.spec.name);
  RankingSplit& train = data.splits[0];
  train = loader.read(schema.tables[0], fitted != nullptr ? &names : nullptr, true);
  names = train.rows.features;
  std::vector<int64_t> left(train.rows.queries.size());
  const size_t all = left.size();
  std::iota(left.begin(), left.end(), int64_t{0});
  Rng rng(schema.seed, 0x72616e6b);  // "rank"
  rng.shuffle(left);
  for (const size_t s : {size_t{2}, size_t{1}}) {
    const double fraction = s == 1 ? schema.valid_fraction : schema.test_fraction;
    data.splits[s] = schema.tables[s].source.given() ? loader.read(schema.tables[s], &names, true)
                                                     : select(train, take(left, fraction, all));
  }
  WN_CHECK(!left.empty(), DataError, "{}: {} queries are too few to draw validation and test queries from",
           train.rows.name, all);
  std::ranges::sort(left);
  if (left.size() < all) train = select(train, left);
  data.map = fitted != nullptr ? *fitted : fit(train.rows, schema.normalizer);
  data.map.index();
  if (!data.map.features.empty())
    for (RankingSplit& split : data.splits) split.features = encode(split.rows, data.map, schema.per_query);
  if (schema.texts) data.documents = loader.documents(train);
  return data;
}

RankingSplit load_ranking_table(const RankingSchema& schema, const RankingSource& source, const FeatureMap& map) {
  const Loader loader(schema);
  std::vector<std::string> names;
  for (const FittedFeature& f : map.features) names.push_back(f.spec.name);
  RankingSplit split = loader.read(source, &names, false);
  if (!map.features.empty()) split.features = encode(split.rows, map, schema.per_query);
  return split;
}

std::string RankingData::summary() const {
  std::string text;
  for (const Split s : {Split::Train, Split::Valid, Split::Test}) {
    const RankingRows& rows = split(s).rows;
    std::map<float, int64_t> grades;
    for (const float y : rows.labels) ++grades[y];
    text += fmt::format("{}: {} queries, {} rows, grades", name_of(s), rows.query_count(), rows.rows());
    if (grades.size() > 10)
      text += fmt::format(" {:g} to {:g}", grades.begin()->first, grades.rbegin()->first);
    else
      for (const auto& [grade, count] : grades) text += fmt::format(" {:g}: {}", grade, count);
    text += "\n";
  }
  if (!map.features.empty()) text += fmt::format("{} features\n", map.features.size());
  return text;
}

}  // namespace winnow
