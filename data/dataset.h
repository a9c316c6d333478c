// An encoded data set in memory, in the layout that embedding lookups read, with its splits.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/feature_map.h"
#include "data/schema.h"

namespace winnow {

enum class Split : uint8_t { Train, Valid, Test };
const char* name_of(Split split);

// What loading found; every row of the file is in one of the counts.
struct LoadReport {
  struct Dropped {
    std::string rule;
    int64_t rows = 0;
  };
  int64_t rows_read = 0;
  std::vector<Dropped> dropped;
  int64_t users_without_row = 0, items_without_row = 0;  // interactions whose key the side table lacks: cells missing
  int64_t negatives = 0, negatives_short = 0;            // sampled rows; rows not sampled because no item was left
  double seconds = 0;
  std::string str() const;  // a few lines for people
};

// N rows, F fields (features with ids), D floats. Row n's bag of field f is
//   ids[offsets[n F + f] .. offsets[n F + f + 1]), or ids[n F + f] when there are no bags (offsets empty).
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
  LoadReport report;

  int64_t fields() const { return static_cast<int64_t>(map.fields().size()); }
  int64_t numbers() const { return map.dense_width(); }  // floats of a row
  const std::vector<int32_t>& split(Split s) const {
    return s == Split::Train ? train : s == Split::Valid ? valid : test;
  }
  std::string summary() const;  // rows, positives and time range of each split, vocabulary sizes
};

// Reads the files of the schema, splits, fits the feature map on the training split, encodes.
//   Split by time: interactions in stable order of time (ties in file order), boundaries floor(n train) and
//   floor(n (train + valid)). Vocabularies and scaling see the training interactions only, and no sampled negatives.
//   Negatives: after each positive, per_positive items that are distinct, drawn (seed, row of the file) from the items
//   of the training split and those sold up to that time, never one that the user is known to have taken in any split.
//   A sampled row keeps the user's and the context's features. Item features of the interactions file come, for
//   positives and sampled rows alike, from the item's previous row, or its first when there is none.
// DataError with file:line (column, value): an absent column, a label, weight or time that is none, a key that occurs
// twice in a side table, a split that came out empty. IoError: a file that cannot be read.
Dataset load_dataset(const Schema& schema);

}  // namespace winnow
