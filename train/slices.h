// The metrics of parts of a split: where a model is good and where it is not.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"
#include "data/dataset.h"
#include "train/metrics_binary.h"

namespace winnow {

// An entry of `evaluation.slices`:
//   cold_users, {cold_users: n}    rows whose user has fewer than n (1) training rows, and the others
//   new_items, {new_items: n}      rows whose item has fewer than n (1) training rows, and the others
//   {column: country, top: 10}     a feature with ids: the most frequent values of the split, ties by id, and all
//   others
//                                  together; a row with several values is in the slice of each
//   {column: age, buckets: 4}      a number: parts of equally many rows, cut at the split's quantiles; ties stay
//   together
struct SliceSpec {
  enum Kind : uint8_t { ColdUsers, NewItems, Column } kind = ColdUsers;
  int64_t fewer_than = 1;
  std::string column = {};  // a feature's name
  int64_t top = 10, buckets = 4;
};

// The list `slices`; without the key cold_users and new_items. ConfigError with the place, also for a column that is no
// feature of the schema.
std::vector<SliceSpec> read_slices(const ConfigNode& evaluation, const Schema& schema);

struct SliceReport {
  std::string name, value;  // "country", "DE"; "cold_users", "no training row"
  int64_t rows = 0, positives = 0;
  // auc, logloss, ne, copc, ece_mass. A slice of fewer than least_rows rows has them without value, with the reason.
  std::vector<MetricValue> metrics;
};

struct SliceOptions {
  int64_t least_rows = 100;
  BinaryEvaluation binary = {};
};

// predictions: logits of the split's rows in its order. Slices in the order of the specs; empty ones are left out.
std::vector<SliceReport> evaluate_slices(const Dataset& dataset, Split split, std::span<const float> predictions,
                                         const std::vector<SliceSpec>& specs, const SliceOptions& options = {});

}  // namespace winnow
