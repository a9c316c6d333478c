// What the data looks like: files, columns, features, label, split. Read from the `data:` section of a config.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/clean.h"
#include "data/rows.h"

namespace winnow {

class ConfigNode;

enum class FeatureType : uint8_t { Categorical, Multi, Numeric, Sequence, Text, Image };
enum class FeatureSource : uint8_t { User, Item, Context };
enum class Normalizer : uint8_t { None, Standard, Log, LogStandard, MinMax, Quantile };
enum class BagPooling : uint8_t { Mean, Sum, Max };
enum class Encoding : uint8_t { Label, OneHot };

// One feature.
//   categorical  one id a row; with encoding one_hot a 0/1 float for each value of the vocabulary instead, all 0 for an
//                unseen or missing one.
//   multi        up to max_len ids a row: the cell is cut at `separator`, empty parts are dropped, the first max_len
//                parts stay.
//   sequence     the same with the oldest part first: the last max_len parts stay.
//   text         the words of the cell in normal form and folded case (data/text_normalise.h), up to max_len: runs of
//                letters and digits; ideographs and kana one by one.
//   numeric      one float a row, n(x) of data/detail/scaling.h by `normalizer`, fitted on the training rows that have
//   a
//                value; with boundaries c_1 < .. < c_k, or `quantiles` of the training values, one id instead:
//                1 + #{i: c_i <= x}.
//   image        the cell is the path of a PNG, JPEG or PPM file, relative to `folder`: 3 size^2 floats (data/image.h).
// Ids come from a vocabulary, or with hash_bucket_size h > 0 are 1 + xxh64(value) mod h (data/hash.h).
// A missing (empty) cell takes fill_na when it is given. Without it a missing id is PAD (0): it adds nothing and trains
// nothing, unlike an unseen value, which is the OOV row; a missing number or image is the mean of the training split.
struct FeatureSpec {
  std::string name;
  FeatureType type = FeatureType::Categorical;
  FeatureSource source = FeatureSource::Context;
  std::string column;  // default: name
  // Of a feature with ids.
  Encoding encoding = Encoding::Label;    // categorical
  int64_t min_categr_count = 1;           // values rarer than this in training are OOV
  int64_t hash_bucket_size = 0;           // 0: a vocabulary
  int64_t embedding_dim = 0;              // 0: the model's
  std::string share_embedding;            // the feature whose vocabulary and table this one uses too; "" its own
  int64_t max_len = 1;                    // multi, sequence, text
  std::string separator = " ";            // multi, sequence
  BagPooling pooling = BagPooling::Mean;  // multi, sequence, text
  std::optional<std::string> fill_na;
  Normalizer normalizer = Normalizer::Standard;  // numeric
  std::vector<double> boundaries;                // numeric, ascending
  int64_t quantiles = 0;                         // numeric: cut the training values into this many parts
  int64_t size = 0;                              // image: pixels a side
  std::string folder;                            // image: what paths are relative to
  bool operator==(const FeatureSpec&) const = default;
};

constexpr int64_t kMaxImageSide = 256, kMaxQuantiles = 1000;

// How a feature's cells reach the model: as ids of an embedding table (up to max_len of them when it has bags), else as
// floats; and whether a cell is read as a number or as text.
bool has_ids(const FeatureSpec& spec);
bool has_bags(const FeatureSpec& spec);
bool reads_numbers(const FeatureSpec& spec);
bool has_vocabulary(const FeatureSpec& spec);

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
  SourceSpec source;  // not given: there is no such table
  std::string key;    // side tables: the column that equals user_id / item_id
  std::string title;  // item table (or interactions): a column for people to read; "" none
};

// How interactions are divided into training, validation and test: docs/data_splits.md has the formulas.
struct SplitSpec {
  enum Method : uint8_t { Time, Random, Stratified, LeaveLastOut, User, KFold } method = Time;
  // Of the interactions (user: of the users), with boundaries floor(n train) and floor(n (train + valid)).
  double train = 0.8, valid = 0.1, test = 0.1;  // kfold: only test
  std::string by = {};                          // stratified: a column of the interactions; "" the label
  int64_t folds = 5, fold = 0;                  // kfold: validation is fold `fold`, training the other ones
  bool test_by_time = true;                     // kfold: the test split is the latest interactions; else drawn
};

// Implicit feedback: each interaction is a positive row, followed by sampled rows of label 0.
struct NegativeSpec {
  enum Distribution : uint8_t { Uniform, Popularity, InBatch };
  int64_t per_positive = 0;  // 0: none
  // Popularity: in proportion to the training count. InBatch: items of other positives of the batch (training only;
  // validation and test are uniform).
  Distribution distribution = Uniform;
};

// Where the encoded rows are: in memory, or in a file of `cache` that training reads block by block.
enum class Storage : uint8_t { Memory, Disk };

// What training does about leaks (data/leaks.h): say so, refuse to train, or not look for any.
enum class LeakCheck : uint8_t { Warn, Error, Off };

struct Schema {
  TableSpec interactions, users, items;
  std::string user_id, item_id;  // columns of the interactions
  std::string timestamp;         // column; "" none
  std::string time_format = "unix";
  std::optional<CellRule> label;  // none: every interaction is a positive
  std::string weight;             // column with row weights > 0; "" none: 1
  CleanSpec clean;                // rows of the interactions to leave out, texts to rewrite
  SplitSpec split;
  NegativeSpec negatives;
  std::vector<FeatureSpec> features;
  LeakCheck leak_check = LeakCheck::Warn;
  uint64_t seed = 42;  // of the splits that draw and of the sampled negatives
  // Training shows each id as unseen (OOV) with this probability, so that the rows of unseen ids are trained.
  double id_dropout = 0;
  Storage storage = Storage::Memory;
  std::string cache;  // disk: the directory of the file of encoded rows; "" that of the run
  std::string text;   // the resolved section, which tells whether a file of encoded rows is of this schema
};

// ConfigError with file:line for unknown keys, wrong types and settings that contradict each other.
Schema parse_schema(const ConfigNode& data);
// An entry of `features` for the schema read so far; label, weight and timestamp entries fill the schema's own members.
void read_feature(const ConfigNode& entry, int64_t min_categr_count, Schema& schema);
// The rules that hold whatever the schema comes from: names unique, columns given, fractions summing to 1, ...
void check_schema(const Schema& schema);
void check_feature(const FeatureSpec& feature);
// share_embedding: the feature exists, comes earlier, has an own table, and cuts and counts values the same way.
void check_sharing(const std::vector<FeatureSpec>& features);

const char* name_of(FeatureType type);
const char* name_of(FeatureSource source);
const char* name_of(Normalizer normalizer);
const char* name_of(BagPooling pooling);
const char* name_of(Encoding encoding);
// ConfigError lists the known names; `what` says where.
FeatureType parse_feature_type(std::string_view text, std::string_view what);
FeatureSource parse_feature_source(std::string_view text, std::string_view what);
Normalizer parse_normalizer(std::string_view text, std::string_view what);
BagPooling parse_bag_pooling(std::string_view text, std::string_view what);
Encoding parse_encoding(std::string_view text, std::string_view what);

}  // namespace winnow
