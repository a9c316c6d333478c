#include "data/detail/leak_tests.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "core/text.h"

namespace winnow::detail {
namespace {

constexpr int64_t kLeastRows = 30;  // of each label
constexpr size_t kBins = 256, kFewValues = 1000;

struct ValueCounts {
  int64_t rows = 0, positives = 0;
};

std::vector<ValueCounts> count_values(const std::vector<int32_t>& codes, int32_t values,
                                      const std::vector<bool>& label) {
  std::vector<ValueCounts> counts(static_cast<size_t>(values));
  for (size_t r = 0; r < codes.size(); ++r) {
    ValueCounts& c = counts[static_cast<size_t>(codes[r])];
    ++c.rows;
    c.positives += label[r] ? 1 : 0;
  }
  return counts;
}

// Codes of the distinct numbers when they are few, else of 256 bins of equal size (equal numbers share one).
std::vector<int32_t> bin(const std::vector<float>& numbers, int32_t& bins) {
  std::vector<float> sorted = numbers;
  std::ranges::sort(sorted);
  std::vector<float> edges = sorted;
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  if (edges.size() > kFewValues) {
    edges.clear();
    for (size_t b = 0; b < kBins; ++b) edges.push_back(sorted[sorted.size() * b / kBins]);
    edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  }
  bins = static_cast<int32_t>(edges.size());
  std::vector<int32_t> codes;
  codes.reserve(numbers.size());
  for (const float x : numbers)
    codes.push_back(static_cast<int32_t>(std::ranges::upper_bound(edges, x) - edges.begin()) - 1);
  return codes;
}

struct Predictive {
  double auc = 0, lower = 0;
  int64_t rows = 0;
  bool tells() const { return auc >= 0.98 && lower >= 0.95; }
};

Predictive judged(std::vector<std::pair<double, bool>> scored, double alpha) {
  Predictive p;
  p.rows = static_cast<int64_t>(scored.size());
  const int64_t positives = std::ranges::count_if(scored, [](const auto& s) { return s.second; });
  if (std::min(positives, p.rows - positives) < kLeastRows) return p;
  p.auc = auc(std::move(scored));
  p.lower = auc_lower_bound(p.auc, positives, p.rows - positives, alpha);
  return p;
}

// Each row scored by the rate of the other rows with its value, drawn towards the base rate by one row.
Predictive by_other_rows(const std::vector<int32_t>& codes, int32_t values, const std::vector<bool>& label,
                         double alpha) {
  const std::vector<ValueCounts> counts = count_values(codes, values, label);
  const double base = static_cast<double>(std::ranges::count(label, true)) / static_cast<double>(label.size());
  std::vector<std::pair<double, bool>> scored;
  for (size_t r = 0; r < codes.size(); ++r) {
    const ValueCounts& c = counts[static_cast<size_t>(codes[r])];
    if (c.rows < 2) continue;
    scored.emplace_back((static_cast<double>(c.positives - (label[r] ? 1 : 0)) + base) / static_cast<double>(c.rows),
                        label[r]);
  }
  if (scored.size() * 10 < label.size()) return {};
  return judged(std::move(scored), alpha);
}

Predictive by_size(const std::vector<float>& numbers, const std::vector<bool>& label, bool falling, double alpha) {
  std::vector<std::pair<double, bool>> scored;
  for (size_t r = 0; r < numbers.size(); ++r) scored.emplace_back(falling ? -numbers[r] : numbers[r], label[r]);
  return judged(std::move(scored), alpha);
}

// Rows with a mark (a value, or being missing) that all have one label.
struct Purity {
  int64_t rows = 0, hits = 0;
  bool label = false;
  double share = 0;  // of the rows of that label
};

Purity purity_of(const ValueCounts& c, const std::vector<bool>& label, int64_t positives) {
  Purity p{.rows = c.rows, .hits = std::max(c.positives, c.rows - c.positives), .label = 2 * c.positives >= c.rows};
  const int64_t all = p.label ? positives : static_cast<int64_t>(label.size()) - positives;
  p.share = all > 0 ? static_cast<double>(p.hits) / static_cast<double>(all) : 0;
  return p;
}

bool is_pure(const Purity& p, double alpha) {
  return p.rows > 0 && static_cast<double>(p.hits) >= 0.995 * static_cast<double>(p.rows) &&
         rate_lower_bound(p.hits, p.rows, alpha) >= 0.95;
}

// The label is not so common that it needs no reason.
bool is_rare(bool label, const std::vector<bool>& labels, int64_t positives) {
  const double n = static_cast<double>(labels.size()), of = static_cast<double>(positives);
  return (label ? of : n - of) < 0.8 * n;
}

std::string percent(double x) { return fmt::format("{:.3g} %", 100 * x); }

}  // namespace

double auc(std::vector<std::pair<double, bool>> scored) {
  std::ranges::sort(scored);
  double below = 0, wins = 0, positives = 0;
  for (size_t begin = 0; begin < scored.size();) {
    size_t end = begin;
    double ones = 0, zeros = 0;
    for (; end < scored.size() && scored[end].first == scored[begin].first; ++end)
      (scored[end].second ? ones : zeros)++;
    wins += ones * (below + zeros / 2);
    below += zeros;
    positives += ones;
    begin = end;
  }
  return positives > 0 && below > 0 ? wins / (positives * below) : 0.5;
}

double auc_lower_bound(double a, int64_t positives, int64_t negatives, double alpha) {
  const double p = static_cast<double>(positives), n = static_cast<double>(negatives);
  const double q1 = a / (2 - a), q2 = 2 * a * a / (1 + a);
  const double variance = (a * (1 - a) + (p - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / (p * n);
  return a - std::sqrt(2 * std::log(1 / alpha)) * std::sqrt(std::max(variance, 0.0));
}

double rate_lower_bound(int64_t hits, int64_t n, double alpha) {
  if (hits == 0 || n == 0) return 0;
  const double q = static_cast<double>(hits) / static_cast<double>(n), least = std::log(1 / alpha);
  const auto divergence = [q](double p) {
    return q * std::log(q / p) + (q < 1 ? (1 - q) * std::log((1 - q) / (1 - p)) : 0);
  };
  double low = 0, high = q;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (static_cast<double>(n) * divergence(middle) >= least ? low : high) = middle;
  }
  return low;
}

void test_tells_label(const LeakColumn& c, const std::vector<bool>& label, double tests, std::vector<Leak>& leaks) {
  const double alpha = kAlpha / tests;
  Predictive best;
  if (c.numeric) {
    int32_t bins = 0;
    const std::vector<int32_t> codes = bin(c.numbers, bins);
    for (const bool falling : {false, true})
      if (const Predictive p = by_size(c.numbers, label, falling, alpha); p.auc > best.auc) best = p;
    if (const Predictive p = by_other_rows(codes, bins, label, alpha); p.auc > best.auc) best = p;
  } else {
    best = by_other_rows(c.codes, c.values, label, alpha);
  }
  if (!best.tells()) return;
  leaks.push_back({"tells_label", c.name,
                   fmt::format("alone it orders the labels of {} training rows with AUC {:.4f}{}: a copy or a function "
                               "of the label, or known only afterwards; leave it out",
                               best.rows, best.auc, c.numeric ? "" : ", by the other rows with its value")});
}

void test_one_label(const LeakColumn& c, const std::vector<bool>& label, double tests, std::vector<Leak>& leaks) {
  if (c.is_key) return;
  int32_t values = c.values;
  const std::vector<int32_t> binned = c.numeric ? bin(c.numbers, values) : std::vector<int32_t>{};
  if (c.numeric && static_cast<size_t>(values) > kFewValues / 10) return;  // a number, not a code
  const std::vector<int32_t>& codes = c.numeric ? binned : c.codes;
  const std::vector<ValueCounts> counts = count_values(codes, values, label);
  const int64_t positives = std::ranges::count(label, true);
  std::vector<bool> is_missing(static_cast<size_t>(values));
  for (size_t r = 0; r < codes.size(); ++r)
    if (c.missing[r]) is_missing[static_cast<size_t>(codes[r])] = true;
  for (const bool side : {true, false}) {
    if (!is_rare(side, label, positives)) continue;
    int64_t pure = 0, rows = 0;
    double share = 0, next = 0;
    for (size_t v = 0; v < counts.size(); ++v) {
      const Purity p = purity_of(counts[v], label, positives);
      const int64_t of_side = side ? counts[v].positives : counts[v].rows - counts[v].positives;
      if (p.label == side && is_pure(p, kAlpha / tests / static_cast<double>(values))) {
        if (!is_missing[v]) ++pure, rows += p.rows, share += p.share;
      } else if (p.rows >= kLeastRows) {
        next = std::max(next, static_cast<double>(of_side) / static_cast<double>(p.rows));
      }
    }
    if (next > 0.9) continue;  // the last step of a scale, not a value apart
    if (share < 0.05) continue;
    leaks.push_back({"one_label", c.name,
                     fmt::format("{} of its values occur{} with label {} only ({} rows, {} of that label): is it known "
                                 "before the event?",
                                 pure, pure == 1 ? "s" : "", side ? 1 : 0, rows, percent(share))});
  }
}

void test_missing(const LeakColumn& c, const std::vector<bool>& label, double tests, std::vector<Leak>& leaks) {
  ValueCounts absent, present;
  for (size_t r = 0; r < label.size(); ++r) {
    ValueCounts& v = c.missing[r] ? absent : present;
    ++v.rows;
    v.positives += label[r] ? 1 : 0;
  }
  const int64_t positives = std::ranges::count(label, true);
  for (const ValueCounts* v : {&absent, &present}) {
    const Purity p = purity_of(*v, label, positives);
    if (absent.rows == 0 || present.rows == 0 || !is_rare(p.label, label, positives) || p.share < 0.05) continue;
    if (!is_pure(p, kAlpha / tests)) continue;
    leaks.push_back({"missing_tells", c.name,
                     fmt::format("its {} rows {} a value all have label {} ({} of that label): it is filled in after "
                                 "the event",
                                 p.rows, v == &absent ? "without" : "with", p.label ? 1 : 0, percent(p.share))});
    return;
  }
}

// Numbers as regular as a count: the gaps between neighbours vary less than those of numbers drawn at random, whose
// coefficient of variation is 1 (a count of which a part s is left: sqrt(1 - s)).
bool is_counted(std::vector<double> sorted) {
  const double n = static_cast<double>(sorted.size() - 1);
  const double mean = (sorted.back() - sorted.front()) / n;
  double squares = 0;
  for (size_t i = 1; i < sorted.size(); ++i) squares += std::pow(sorted[i] - sorted[i - 1] - mean, 2);
  return mean > 0 && std::sqrt(squares / n) < 0.7 * mean;
}

void test_row_order(const LeakColumn& c, const std::vector<bool>& label, std::vector<Leak>& leaks) {
  if (c.is_key) return;
  const std::vector<double> order = order_of(c);
  std::vector<std::pair<double, bool>> scored;
  for (size_t r = 0; r < order.size(); ++r)
    if (!std::isnan(order[r])) scored.emplace_back(order[r], label[r]);
  if (scored.size() * 2 < label.size()) return;
  std::vector<double> distinct;
  for (const auto& s : scored) distinct.push_back(s.first);
  std::ranges::sort(distinct);
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  if (distinct.size() < 100 || static_cast<double>(distinct.size()) < 0.9 * static_cast<double>(scored.size())) return;
  if (c.numeric && !is_counted(distinct)) return;
  const int64_t positives = std::ranges::count_if(scored, [](const auto& s) { return s.second; });
  if (std::min<int64_t>(positives, static_cast<int64_t>(scored.size()) - positives) < kLeastRows) return;
  const double rising = auc(std::move(scored)), a = std::max(rising, 1 - rising);
  if (a < 0.75) return;
  leaks.push_back(
      {"row_order", c.name,
       fmt::format("{} distinct values, nearly one a row, whose order tells the label (AUC {:.3f}): the file "
                   "was sorted by label, or ids were given afterwards; leave it out",
                   distinct.size(), a)});
}

void test_timestamp_copy(const LeakColumn& c, const std::vector<int64_t>& time, std::vector<Leak>& leaks) {
  const std::vector<double> order = order_of(c);
  if (order.size() < 100) return;
  std::vector<double> distinct;
  for (const double x : order)
    if (!std::isnan(x)) distinct.push_back(x);
  std::ranges::sort(distinct);
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  std::vector<int64_t> times = time;
  std::ranges::sort(times);
  times.erase(std::unique(times.begin(), times.end()), times.end());
  if (distinct.size() < 100 || times.size() < 100 || distinct.size() * 10 < times.size()) return;
  constexpr int kPairs = 20000;
  Rng rng(7, 1);
  int pairs = 0, same = 0;
  for (int i = 0; i < kPairs; ++i) {
    const auto a = static_cast<size_t>(rng.below(order.size())), b = static_cast<size_t>(rng.below(order.size()));
    if (time[a] == time[b] || !(order[a] < order[b] || order[a] > order[b])) continue;
    ++pairs;
    same += (time[a] < time[b]) == (order[a] < order[b]) ? 1 : 0;
  }
  if (pairs < kPairs / 2) return;
  const double agreement = static_cast<double>(std::max(same, pairs - same)) / pairs;
  if (agreement < 0.99) return;
  leaks.push_back({"timestamp_copy", c.name,
                   fmt::format("orders {} of the pairs of rows as their times do: a copy of the time, whose values of "
                               "the test rows training never sees; use hour, weekday or age instead",
                               percent(agreement))});
}

}  // namespace winnow::detail
