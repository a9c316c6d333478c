// What describe_rows() keeps of one column.
#pragma once
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "data/describe.h"
#include "data/string_index.h"
#include "data/timestamp.h"

namespace winnow::detail {

// HyperLogLog (Flajolet et al. 2007) with 2^14 registers of one byte, read by the estimator of Ertl 2017 (section 4),
// which needs no corrections for small counts.
class DistinctSketch {
 public:
  void add(uint64_t hash);
  double estimate() const;

 private:
  static constexpr int kBits = 14;
  std::array<uint8_t, size_t{1} << kBits> registers_ = {};
};

// Counts of values: exact while they are few, then the most frequent ones.
class FrequentValues {
 public:
  void add(std::string_view text);
  bool exact() const { return error_ == 0; }
  int64_t error() const { return error_; }
  int64_t distinct() const { return values_.size(); }  // when exact
  std::vector<TopValue> top(size_t most) const;

 private:
  void prune();
  StringIndex values_;
  std::vector<int64_t> counts_;
  size_t bytes_ = 0;
  int64_t error_ = 0;
};

class Numbers {
 public:
  void add(double x);
  NumberSummary summary() const;
  int64_t count() const { return sketch_.count(); }

 private:
  double mean_ = 0, squares_ = 0, least_ = 0, most_ = 0;
  QuantileSketch sketch_;
};

class ColumnSketch {
 public:
  explicit ColumnSketch(std::string name);
  void add(std::string_view cell);
  ColumnSummary summary(int64_t top) const;

 private:
  struct Times {
    TimeFormat format;
    int64_t from = 0, to = 0;
  };
  std::string guess(const ColumnSummary& s) const;
  void add_time(std::string_view cell);
  bool counts_seconds(const ColumnSummary& s, double per_second) const;

  std::string name_;
  int64_t rows_ = 0, missing_ = 0, words_ = 0;
  bool all_numbers_ = true, all_integers_ = true;
  std::vector<Times> times_;  // formats that every cell so far had
  Numbers numbers_, lengths_;
  FrequentValues values_;
  DistinctSketch distinct_;
};

}  // namespace winnow::detail
