// What the true probabilities reach against the drawn outcomes, counted as blocks go by.
#pragma once
#include <vector>

#include "data/detail/store_log.h"

namespace winnow::store {

// AUC of predictions counted in 2^20 equal bins of [0, 1]; pairs within a bin count half. Against the exact AUC the
// error is at most half the share of pairs that fall into one bin, about 1e-6 for smooth predictions.
class BinnedAuc {
 public:
  BinnedAuc() : counts_(2 * kBins) {}
  void add(double probability, bool label);
  double value() const;  // 0.5 while a class is empty

 private:
  static constexpr size_t kBins = size_t{1} << 20;
  std::vector<int64_t> counts_;  // negatives and positives of each bin
};

class Truth {
 public:
  explicit Truth(int64_t impressions) : test_from_(impressions / 10 * 9 + impressions % 10 * 9 / 10) {}
  void add(const Block& block);  // blocks in their order, so that sums have the same bits
  SyntheticReport report() const;

 private:
  int64_t test_from_;
  int64_t rows_ = 0, clicks_ = 0, purchases_ = 0, test_rows_ = 0;
  double logloss_ = 0, entropy_ = 0;
  BinnedAuc click_, purchase_;
};

}  // namespace winnow::store
