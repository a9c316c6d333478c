// The `data:` section of `winnow train rank`, and the rows it names: split by query, numbers scaled, texts looked up.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/feature_map.h"
#include "data/ranking_rows.h"

namespace winnow {

class ConfigNode;

// What is done to the scaled features within each query: nothing; the query's mean taken off; also divided by the
// query's deviation (1 where a feature is constant).
enum class QueryScaling : uint8_t { None, Center, Standard };

// Texts by key: of queries, of items. Several columns are joined by a blank.
struct KeyedTexts {
  SourceSpec source;  // not given: there is none
  std::string key;
  std::vector<std::string> columns;
};

struct RankingSchema {
  std::array<RankingSource, 3> tables;  // as Split; validation and test may be not given
  RankingColumns columns;
  double valid_fraction = 0.2, test_fraction = 0.2;  // of the queries of the training table, where there is no other
  bool absent_is_zero = true;                        // libsvm
  Normalizer normalizer = Normalizer::Standard;
  QueryScaling per_query = QueryScaling::None;
  bool texts = false;                              // queries and items have texts
  std::string text_features;                       // a tokenizer: features of data/term_match.h are added; "" none
  KeyedTexts queries, items;                       // by the columns query and item of the rows
  std::vector<std::string> query_text, item_text;  // or columns of the rows themselves
  uint64_t seed = 1;                               // of the queries that are drawn for validation and test
};
// Keys: docs/rank.md. texts: the model reads texts and no features. ConfigError.
RankingSchema parse_ranking_schema(const ConfigNode& data, bool texts);
constexpr const char* kTextFeaturePrefix = "text.";  // of the names of data/term_match.h

struct RankingSplit {
  RankingRows rows;                                  // values: as the file has them
  std::vector<float> features;                       // [rows, width], scaled
  std::vector<std::string> query_texts, item_texts;  // [queries], [rows]
};

struct RankingData {
  FeatureMap map;  // numeric features, fitted on the training queries
  std::array<RankingSplit, 3> splits;
  std::vector<std::string> documents;  // with texts: of the table of items, else the item texts of training
  int64_t width() const { return map.dense_width(); }
  const RankingSplit& split(Split s) const { return splits[static_cast<size_t>(s)]; }
  std::string summary() const;  // queries, rows and grades of each split
};

// Queries of the training table are drawn for the splits that have no table of their own: first the test split, then
// validation, at least one query each; all keep the order of the table. fitted: the scaling of an earlier training.
// DataError: as read_ranking_rows(); no query left for a split; a key without a text.
RankingData load_ranking_data(const RankingSchema& schema, const FeatureMap* fitted = nullptr);

// One more table, scaled as `map` says, its texts looked up; labels are not needed.
RankingSplit load_ranking_table(const RankingSchema& schema, const RankingSource& source, const FeatureMap& map);

}  // namespace winnow
