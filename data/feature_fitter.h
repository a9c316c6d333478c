// Fits one feature on the cells of the training split, in one pass and in bounded memory where the feature allows it.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/exact_sum.h"
#include "data/feature_map.h"

namespace winnow {

// Add every training cell of the feature (or each distinct one with its count), merge what threads or files counted
// apart, finish. The result is the same, bit for bit, whatever the order of cells and merges:
//   vocabulary   values by falling count, ties by their bytes, rarer ones than min_categr_count left out
//   numbers      mean = sum t(x) / n, deviation = sqrt(sum (t(x) - mean)^2 / n) over the values that are there, from
//                exact sums (core/exact_sum.h) rounded once; a constant has deviation 1
// Memory: the distinct values; for numbers a constant.
class FeatureFitter {
 public:
  explicit FeatureFitter(const FeatureSpec& spec) : spec_(spec) {}
  const FeatureSpec& spec() const { return spec_; }

  // A cell as it stands in the table, `count` times; empty: missing. DataError: a number that is none.
  void add(std::string_view cell, int64_t count = 1);
  // The number of a cell that was parsed already (reads_numbers(spec)); NaN: missing.
  void add_number(double x, int64_t count = 1);
  void merge(const FeatureFitter& other);
  // DataError: numbers too large to be scaled.
  FittedFeature finish() &&;

 private:
  Vocabulary vocabulary() const;
  void scale(FittedFeature& feature) const;

  FeatureSpec spec_;
  StringIndex values_;
  std::vector<int64_t> counts_;  // of values_
  double numbers_ = 0;           // how many
  ExactSum sum_, squares_;       // of the transformed numbers
};

// Fits of all features of a schema, in its order.
std::vector<FittedFeature> finish(std::vector<FeatureFitter> fitters);

}  // namespace winnow
