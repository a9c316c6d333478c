// An encoded data set in memory, in the layout that embedding lookups read, with its splits.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/feature_map.h"
#include "data/schema.h"

namespace winnow {

enum class Split : uint8_t { Train, Valid, Test };
const char* name_of(Split split);

// What loading found; every row of the source is in one of the counts.
struct LoadReport {
  struct SplitCount {
    int64_t rows = 0, positives = 0;  // positives: label > 0.5
    double labels = 0;                // their sum
    int64_t from = 0, to = 0;         // times, where there is a timestamp column
    void add(float label, int64_t time);
  };
  struct Feature {
    std::string name, type;
    int64_t vocabulary = 0;               // values, or hash buckets
    std::optional<double> oov_rate_test;  // ids of the test split that are OOV / its ids that are no PAD
  };
  struct Leak {
    std::string kind, feature, text;
  };
  struct IdCount {
    int64_t ids = 0, oov = 0;  // that are no PAD; of them OOV
  };
  int64_t rows_read = 0;
  CleanReport clean;
  int64_t users_without_row = 0, items_without_row = 0;  // interactions whose key the side table lacks: cells missing
  int64_t negatives = 0, negatives_short = 0;            // sampled rows; rows not sampled because no item was left
  std::array<SplitCount, 3> splits;                      // as Split
  bool timestamps = false;
  std::vector<Feature> features;
  std::vector<Leak> leaks;
  bool reused = false;  // the encoded rows of an earlier run
  double seconds = 0;
  std::string str() const;  // a few lines for people
  // data_report.json: {rows_read, clean: [{step, column, dropped, changed}], kept, negatives, splits: {train: {rows,
  // positives, from, to}, ..}, features: [{name, type, vocabulary, oov_rate_test}], leaks: [], seconds}
  std::string json() const;
  static LoadReport from_json(const std::string& text, const std::string& name);  // DataError names `name`
  // Fills `features`; test_ids: of each field.
  void describe(const FeatureMap& map, const std::vector<IdCount>& test_ids);
};

class RowFile;

// What training draws beside each positive, and what never: items that the user is known to have taken, in any split.
struct InBatchNegatives {
  int64_t per_positive = 0;
  std::vector<int64_t> taken_begin;  // [users + 1]
  std::vector<int32_t> taken;        // items of each user, ascending
};

// N rows, F fields (features with ids), D numbers. Row n's bag of field f is
//   ids[offsets[n F + f] .. offsets[n F + f + 1]), or ids[n F + f] when there are no bags (offsets empty).
// With storage: disk the rows are in `file`, and what would have an entry a row is empty: data/row_facts.h reads rows
// of either form.
struct Dataset {
  FeatureMap map;
  int64_t rows = 0;
  std::vector<int64_t> ids, offsets;
  std::vector<float> dense;          // [N, D]
  std::vector<float> label, weight;  // [N]
  std::vector<int32_t> user, item;   // [N] into user_keys, item_keys
  std::vector<int64_t> timestamp;    // [N] seconds; empty without a timestamp column
  std::vector<std::string> user_keys, item_keys;
  std::vector<std::string> item_titles;     // like item_keys; empty without a title column
  std::vector<int32_t> train, valid, test;  // rows of each split, ascending; rows are in time order when there is time
  std::shared_ptr<const RowFile> file;      // storage: disk; the order of its rows is that of the source
  double id_dropout = 0;                    // of training batches: Schema::id_dropout
  std::shared_ptr<const InBatchNegatives> in_batch;  // what training draws beside each positive; null: nothing
  LoadReport report;

  int64_t fields() const { return static_cast<int64_t>(map.fields().size()); }
  int64_t numbers() const { return map.dense_width(); }  // floats of a row
  bool on_disk() const { return file != nullptr; }
  int64_t split_rows(Split s) const { return report.splits[static_cast<size_t>(s)].rows; }
  // In memory only.
  const std::vector<int32_t>& split(Split s) const {
    return s == Split::Train ? train : s == Split::Valid ? valid : test;
  }
  std::string summary() const;  // rows, positives and time range of each split, vocabulary sizes
};

// Reads the tables of the schema, splits (data/detail/split_plan.h), fits the feature map on the training split,
// encodes.
//   Vocabularies and scaling see the training interactions only, and no sampled negatives.
//   Negatives: after each positive, per_positive items that are distinct, drawn (seed, row of the file) from the items
//   of the training split and those sold up to that time, never one that the user is known to have taken in any split.
//   A sampled row keeps the user's and the context's features. Item features of the interactions file come, for
//   positives and sampled rows alike, from the item's previous row, or its first when there is none. in_batch: training
//   rows are the positives alone, and make_row_source() draws.
//   storage: disk  three passes over the interactions in bounded memory (side tables, keys and vocabularies are held);
//   the encoded rows go to a file of schema.cache, or of `run_directory`, which a later load of the same schema and
//   unchanged files opens instead. The same splits, vocabularies and encoded values as in memory; the rows of a split
//   stand in the order of the source, which differs from that of time where the source is not sorted.
// DataError with file:line (column, value): an absent column, a label, weight or time that is none, a key that occurs
// twice in a side table, a split that came out empty. IoError: a file that cannot be read or written. ConfigError:
// storage: disk without a directory.
Dataset load_dataset(const Schema& schema, const std::string& run_directory = "");

}  // namespace winnow
