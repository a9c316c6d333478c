// Fits one feature on the cells of the training split, in one pass and in bounded memory where the feature allows it.
#pragma once
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "core/exact_sum.h"
#include "data/detail/value_counts.h"
#include "data/feature_map.h"

namespace winnow {

// Add every training cell of the feature (or each distinct one with its count), merge what threads or files counted
// apart, finish. The result is the same, bit for bit, whatever the order of cells and merges:
//   vocabulary   values by falling count, ties by their bytes, rarer ones than min_categr_count left out
//   numbers      mean = sum t(x) / n, deviation = sqrt(sum (t(x) - mean)^2 / n) over the values that are there, from
//                exact sums (core/exact_sum.h) rounded once; a constant has deviation 1 (or range 1)
//   quantiles    from the counts of the distinct values, exact up to 65,536 of them (data/detail/value_counts.h);
//                `quantiles: q` cuts at the least values v with #{values < v} >= j n / q, j = 1 .. q - 1, each once
//   images       the mean of the training images, from sums in units of 2^-32
// Memory: the distinct values of a vocabulary; else bounded.
class FeatureFitter {
 public:
  explicit FeatureFitter(const FeatureSpec& spec) : spec_(spec) {}
  const FeatureSpec& spec() const { return spec_; }

  // A cell as it stands in the table, `count` times; empty: missing. DataError: a number that is none.
  void add(std::string_view cell, int64_t count = 1);
  // The number of a cell that was parsed already (reads_numbers(spec)); NaN: missing.
  void add_number(double x, int64_t count = 1);
  void merge(const FeatureFitter& other);
  // DataError: numbers too large to be scaled, a one_hot feature with more than kMaxOneHot values.
  FittedFeature finish() &&;

 private:
  void add_image(std::string_view cell, int64_t count);
  Vocabulary vocabulary() const;
  void fit_scale(FittedFeature& feature) const;
  void fit_moments(FittedFeature& feature) const;
  void fit_mean_image(FittedFeature& feature) const;

  FeatureSpec spec_;
  StringIndex values_;
  std::vector<int64_t> counts_;  // of values_
  double numbers_ = 0;           // how many
  ExactSum sum_, squares_;       // of the transformed numbers
  double least_ = std::numeric_limits<double>::infinity(), most_ = -least_;
  detail::ValueCounts distribution_;  // where quantiles are wanted
  std::vector<float> image_;          // scratch
  std::vector<int64_t> image_sum_;    // 2^-32
  int64_t images_ = 0;
};

// Fits of all features of a schema, in its order. Those that share an embedding get one vocabulary, of the counts of
// all.
std::vector<FittedFeature> finish(std::vector<FeatureFitter> fitters);

}  // namespace winnow
