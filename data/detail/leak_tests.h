// Parts of find_leaks(): the rows in the layout of the tests, and the tests of one feature.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "data/leaks.h"

namespace winnow::detail {

// One feature of some rows. Either numbers, or codes of values (of whole bags, for a multi feature).
struct LeakColumn {
  std::string name;
  const FittedFeature* feature = nullptr;
  bool numeric = false, is_key = false;  // is_key: the id of the user or of the item
  std::vector<float> numbers;            // as encoded
  std::vector<int32_t> codes;
  int32_t values = 0;             // codes lie in [0, values)
  std::vector<bool> missing;      // per row
  std::vector<int64_t> first_id;  // per row, ids of a single value: to find the text; empty for bags
};

// Training rows to test: all, or 20 runs of neighbours when there are more than `most`.
std::vector<int32_t> sample_rows(const std::vector<int32_t>& train, size_t most);
// A column for each feature that gives ids or one float.
std::vector<LeakColumn> leak_columns(const Dataset& dataset, const std::vector<int32_t>& rows);

// Area under the curve of scores, positives above negatives; ties count half. 0.5 without both labels.
double auc(std::vector<std::pair<double, bool>> scored);
// Lower bound of an AUC by Hanley and McNeil's variance at one-sided level alpha.
double auc_lower_bound(double a, int64_t positives, int64_t negatives, double alpha);
// Lower bound of a probability after `hits` of n, at level alpha: the Chernoff bound, solved for p.
double rate_lower_bound(int64_t hits, int64_t n, double alpha);

// The number before it was scaled; nothing when that cannot be undone.
std::optional<double> unscaled(const FittedFeature& feature, double x);

constexpr double kAlpha = 1e-3;

// tests: how many of the kind are made, for the level of each. label: of the rows of the column.
void test_tells_label(const LeakColumn& column, const std::vector<bool>& label, double tests, std::vector<Leak>& leaks);
void test_one_label(const LeakColumn& column, const std::vector<bool>& label, double tests, std::vector<Leak>& leaks);
void test_missing(const LeakColumn& column, const std::vector<bool>& label, double tests, std::vector<Leak>& leaks);
void test_row_order(const LeakColumn& column, const std::vector<bool>& label, std::vector<Leak>& leaks);
void test_timestamp_copy(const LeakColumn& column, const std::vector<int64_t>& time, std::vector<Leak>& leaks);

// Numbers that sort the rows as the values themselves would: of an id, its trailing digits, or its place among the
// texts. Empty when the column has no single values.
std::vector<double> order_of(const LeakColumn& column);

}  // namespace winnow::detail
