// What the data looks like: files, columns, features, label, split. Read from the `data:` section of a config.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/csv.h"

namespace winnow {

class ConfigNode;

enum class FeatureType : uint8_t { Categorical, Multi, Numeric };
enum class FeatureSource : uint8_t { User, Item, Context };
enum class Normalizer : uint8_t { None, Standard, Log, LogStandard };
enum class BagPooling : uint8_t { Mean, Sum, Max };

// One feature.
//   categorical  one id a row.
//   multi        up to max_len ids a row: the cell is cut at `separator`, empty parts are dropped, the first max_len
//                parts stay.
//   numeric      one float a row: x, (x - mean) / deviation, log x, or both; log x = sign(x) ln(1 + |x|). Fitted on the
//                training rows that have a value.
// A missing (empty) cell takes fill_na when it is given. Without it a missing id is PAD (0): it adds nothing and trains
// nothing, unlike an unseen value, which is the OOV row; a missing number is the mean of the training split.
struct FeatureSpec {
  std::string name;
  FeatureType type = FeatureType::Categorical;
  FeatureSource source = FeatureSource::Context;
  std::string column;                     // default: name
  int64_t min_categr_count = 1;           // values rarer than this in training are OOV
  int64_t max_len = 1;                    // multi
  std::string separator = " ";            // multi
  BagPooling pooling = BagPooling::Mean;  // multi
  std::optional<std::string> fill_na;
  Normalizer normalizer = Normalizer::Standard;  // numeric
  bool operator==(const FeatureSpec&) const = default;
};

// How a feature's cells reach the model: as ids of an embedding table (up to max_len of them when it has bags), else as
// floats; and whether a cell is read as a number or as text.
bool has_ids(const FeatureSpec& spec);
bool has_bags(const FeatureSpec& spec);
bool reads_numbers(const FeatureSpec& spec);

// A test of one cell. compare: "< <= > >=" against a number, "== !=" against the text (or its number, when both are
// numbers), "missing", "starts_with".
struct CellRule {
  enum Kind : uint8_t { AsIs, Less, LessEqual, Greater, GreaterEqual, Equal, NotEqual, Missing, StartsWith };
  std::string column;
  Kind kind = AsIs;
  std::string text;   // right-hand side
  double number = 0;  // its value, for the comparisons
};
// rule: "" (as is), ">= 4", "== click", "missing", "starts_with C". ConfigError.
CellRule parse_rule(std::string column, std::string_view rule);
// Nothing when the rule compares numbers and the cell is not one.
std::optional<bool> holds(const CellRule& rule, std::string_view cell);

struct TableSpec {
  std::string path;  // empty: there is no such table
  CsvOptions csv;
  std::string key;    // side tables: the column that equals user_id / item_id
  std::string title;  // item table (or interactions): a column for people to read; "" none
};

struct SplitSpec {
  enum Method : uint8_t { Time, Random } method = Time;
  // Of the interactions, with boundaries floor(n train) and floor(n (train + valid)).
  double train = 0.8, valid = 0.1, test = 0.1;
};

// Implicit feedback: each interaction is a positive row, followed by sampled rows of label 0.
struct NegativeSpec {
  int64_t per_positive = 0;    // 0: none
  bool by_popularity = false;  // draw in proportion to the training count instead of uniformly
};

struct Schema {
  TableSpec interactions, users, items;
  std::string user_id, item_id;  // columns of the interactions
  std::string timestamp;         // column; "" none
  std::string time_format = "unix";
  std::optional<CellRule> label;  // none: every interaction is a positive
  std::string weight;             // column with row weights > 0; "" none: 1
  std::vector<CellRule> drop;     // rows to leave out, the first rule that holds is counted
  SplitSpec split;
  NegativeSpec negatives;
  std::vector<FeatureSpec> features;
  uint64_t seed = 42;  // of the random split and of the sampled negatives
};

// ConfigError with file:line for unknown keys, wrong types and settings that contradict each other.
Schema parse_schema(const ConfigNode& data);
// The rules that hold whatever the schema comes from: names unique, columns given, fractions summing to 1, ...
void check_schema(const Schema& schema);

const char* name_of(FeatureType type);
const char* name_of(FeatureSource source);
const char* name_of(Normalizer normalizer);
const char* name_of(BagPooling pooling);
// ConfigError lists the known names; `what` says where.
FeatureType parse_feature_type(std::string_view text, std::string_view what);
FeatureSource parse_feature_source(std::string_view text, std::string_view what);
Normalizer parse_normalizer(std::string_view text, std::string_view what);
BagPooling parse_bag_pooling(std::string_view text, std::string_view what);

}  // namespace winnow
