#include "train/value_metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace winnow {
namespace {

enum Statistic : int { kRmse, kMae, kR2, kSpearman, kStatistics };
constexpr const char* kNames[] = {"rmse", "mae", "r2", "spearman"};
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

std::vector<uint32_t> order_of(std::span<const double> x) {
  std::vector<uint32_t> order(x.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::stable_sort(order, {}, [&](uint32_t i) { return x[i]; });
  return order;
}

// Mean ranks of rows drawn counts[i] times.
void ranks_of(std::span<const double> x, const std::vector<uint32_t>& order, std::span<const uint32_t> counts,
              std::vector<double>& ranks) {
  ranks.assign(x.size(), 0);
  double below = 0;
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    double tied = 0;
    for (end = begin; end < order.size() && x[order[end]] == x[order[begin]]; ++end) tied += counts[order[end]];
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = below + (tied + 1) / 2;
    below += tied;
  }
}

double correlation(std::span<const double> a, std::span<const double> b, std::span<const uint32_t> counts) {
  double n = 0, ma = 0, mb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double w = counts[i];
    n += w, ma += w * a[i], mb += w * b[i];
  }
  ma /= n, mb /= n;
  double aa = 0, bb = 0, ab = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double w = counts[i], x = a[i] - ma, y = b[i] - mb;
    aa += w * x * x, bb += w * y * y, ab += w * x * y;
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : kNone;
}

class Statistics {
 public:
  Statistics(std::span<const double> p, std::span<const double> y)
      : p_(p), y_(y), by_prediction_(order_of(p)), by_value_(order_of(y)) {}
  void operator()(std::span<const uint32_t> counts, std::span<double> out) const {
    double n = 0, squares = 0, absolute = 0, mean = 0;
    for (size_t i = 0; i < p_.size(); ++i) {
      const double w = counts[i], d = p_[i] - y_[i];
      n += w, squares += w * d * d, absolute += w * std::abs(d), mean += w * y_[i];
    }
    mean /= n;
    double spread = 0;
    for (size_t i = 0; i < y_.size(); ++i) spread += counts[i] * (y_[i] - mean) * (y_[i] - mean);
    out[kRmse] = std::sqrt(squares / n);
    out[kMae] = absolute / n;
    out[kR2] = spread > 0 ? 1 - squares / spread : kNone;
    std::vector<double> a, b;
    ranks_of(p_, by_prediction_, counts, a);
    ranks_of(y_, by_value_, counts, b);
    out[kSpearman] = correlation(a, b, counts);
  }

 private:
  std::span<const double> p_, y_;
  std::vector<uint32_t> by_prediction_, by_value_;
};

}  // namespace

std::vector<MetricValue> value_metrics(std::span<const double> predictions, std::span<const double> values,
                                       const BootstrapOptions& options) {
  const Statistics statistics(predictions, values);
  std::vector<double> whole(kStatistics, kNone);
  const auto n = static_cast<int64_t>(values.size());
  if (n > 0) statistics(std::vector<uint32_t>(values.size(), 1), whole);
  std::vector<Interval> intervals;
  if (options.resamples > 0 && n > 0) intervals = bootstrap(n, kStatistics, std::cref(statistics), options);
  std::vector<MetricValue> out;
  for (size_t s = 0; s < kStatistics; ++s) {
    MetricValue m{.name = kNames[s], .value = {}};
    if (std::isnan(whole[s]))
      m.reason = n == 0 ? "no row" : "all predictions or all values are equal";
    else
      m.value = whole[s];
    if (m.value && !intervals.empty()) m.low = intervals[s].low, m.high = intervals[s].high;
    out.push_back(std::move(m));
  }
  return out;
}

std::vector<ValueDecile> value_deciles(std::span<const double> predictions, std::span<const double> values) {
  constexpr size_t kParts = 10;
  const std::vector<uint32_t> order = order_of(predictions);
  std::vector<ValueDecile> out;
  for (size_t part = 0; part < kParts; ++part) {
    const size_t begin = order.size() * part / kParts, end = order.size() * (part + 1) / kParts;
    if (begin == end) continue;
    ValueDecile d;
    d.rows = static_cast<int64_t>(end - begin);
    const auto n = static_cast<double>(d.rows);
    double squares = 0;
    for (size_t i = begin; i < end; ++i)
      d.mean_prediction += predictions[order[i]] / n, d.mean_value += values[order[i]] / n;
    for (size_t i = begin; i < end; ++i) squares += std::pow(values[order[i]] - d.mean_value, 2);
    const double error = n > 1 ? 1.96 * std::sqrt(squares / (n - 1) / n) : 0;
    d.low = d.mean_value - error, d.high = d.mean_value + error;
    out.push_back(d);
  }
  return out;
}

}  // namespace winnow
