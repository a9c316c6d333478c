#include "train/delong.h"

#include <cmath>
#include <numbers>

#include "core/parallel.h"
#include "train/detail/radix_sort.h"
#include "train/metrics_auc.h"

namespace winnow {
namespace {

// Equal-weight rows of two classes. place[i] is the row's position among those of its class.
struct Classes {
  std::vector<uint32_t> rows;
  std::vector<uint8_t> positive;
  std::vector<uint32_t> place;
  size_t counts[2] = {0, 0};
};

std::string reason_against(const Classes& classes, std::span<const float> weights) {
  if (classes.counts[0] < 2 || classes.counts[1] < 2)
    return fmt::format("needs two rows of each class, there are {} positives and {} negatives", classes.counts[1],
                       classes.counts[0]);
  for (const uint32_t row : classes.rows)
    if (!weights.empty() && weights[row] != weights[classes.rows[0]])
      return "rows have different weights; use the bootstrap interval";
  return "";
}

Classes classes_of(std::span<const float> labels, std::span<const float> weights) {
  Classes c;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!weights.empty() && weights[i] == 0) continue;
    const size_t y = labels[i] > 0.5f ? 1 : 0;
    c.rows.push_back(static_cast<uint32_t>(i));
    c.positive.push_back(static_cast<uint8_t>(y));
    c.place.push_back(static_cast<uint32_t>(c.counts[y]++));
  }
  return c;
}

// values[y][place]: for a positive the share of negatives below it (ties half), for a negative that of positives above.
struct Components {
  std::vector<double> values[2];
  double mean[2] = {0, 0};
};

Components components_of(std::span<const float> scores, const Classes& c) {
  std::vector<uint64_t> order(c.rows.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = (pack_scored_row(scores[c.rows[i]], false, 0) & ~uint64_t{0xffffffffu}) | i;
  detail::radix_sort(order, 32, [](uint64_t word) { return word; });
  Components out;
  for (int y = 0; y < 2; ++y) out.values[y].resize(c.counts[y]);
  size_t below[2] = {0, 0};
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin, tied[2] = {0, 0};
    for (; end < order.size() && order[end] >> 32 == order[begin] >> 32; ++end)
      ++tied[c.positive[static_cast<uint32_t>(order[end])]];
    const double over = static_cast<double>(below[0]) + 0.5 * static_cast<double>(tied[0]);
    const double under = static_cast<double>(c.counts[1] - below[1]) - 0.5 * static_cast<double>(tied[1]);
    for (; begin < end; ++begin) {
      const auto i = static_cast<uint32_t>(order[begin]);
      out.values[c.positive[i]][c.place[i]] =
          c.positive[i] != 0 ? over / static_cast<double>(c.counts[0]) : under / static_cast<double>(c.counts[1]);
    }
    for (int y = 0; y < 2; ++y) below[y] += tied[y];
  }
  for (int y = 0; y < 2; ++y) {
    for (const double v : out.values[y]) out.mean[y] += v;
    out.mean[y] /= static_cast<double>(c.counts[y]);
  }
  return out;
}

double covariance_of(const Components& a, const Components& b) {
  double sum = 0;
  for (int y = 0; y < 2; ++y) {
    const size_t n = a.values[y].size();
    double products = 0;
    for (size_t i = 0; i < n; ++i) products += (a.values[y][i] - a.mean[y]) * (b.values[y][i] - b.mean[y]);
    sum += products / static_cast<double>(n - 1) / static_cast<double>(n);
  }
  return sum;
}

}  // namespace

DeLong delong(std::span<const std::span<const float>> scores, std::span<const float> labels,
              std::span<const float> weights) {
  for (const auto& s : scores) check_rows("delong", {s, labels, weights}, 0, LabelRange::Binary);
  const Classes classes = classes_of(labels, weights);
  DeLong out;
  out.reason = reason_against(classes, weights);
  if (!out.reason.empty()) return out;
  std::vector<Components> models;
  for (const auto& s : scores) models.push_back(components_of(s, classes));
  const size_t k = models.size();
  for (const Components& m : models) out.auc.push_back(m.mean[1]);
  out.covariance.resize(k * k);
  for (size_t r = 0; r < k; ++r)
    for (size_t s = 0; s <= r; ++s)
      out.covariance[r * k + s] = out.covariance[s * k + r] = covariance_of(models[r], models[s]);
  return out;
}

double normal_quantile(double confidence) {
  // erf(x / sqrt 2) = confidence by bisection: it is called a few times a report
  double low = 0, high = 40;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (std::erf(middle / std::numbers::sqrt2) < confidence ? low : high) = middle;
  }
  return (low + high) / 2;
}

Interval delong_interval(double auc, double variance, double confidence) {
  if (auc <= 0 || auc >= 1) return {auc, auc};
  const double logit = std::log(auc / (1 - auc));
  const double half = normal_quantile(confidence) * std::sqrt(variance) / (auc * (1 - auc));
  return {1 / (1 + std::exp(half - logit)), 1 / (1 + std::exp(-half - logit))};
}

AucDifference delong_difference(const DeLong& all, size_t a, size_t b, double confidence) {
  WN_CHECK(all.defined() && a < all.auc.size() && b < all.auc.size(), ConfigError,
           "delong: models {} and {} of {} cannot be compared: {}", a, b, all.auc.size(), all.reason);
  const double difference = all.auc[a] - all.auc[b];
  const double variance = all.variance(a) + all.variance(b) - 2 * all.covariance[a * all.auc.size() + b];
  // the three terms cancel when two models rank alike; what is left then is rounding
  const bool none = variance <= 1e-14 * (all.variance(a) + all.variance(b));
  const double half = none ? 0 : normal_quantile(confidence) * std::sqrt(variance);
  const double p = none ? (std::abs(difference) < 1e-12 ? 1 : 0)
                        : std::erfc(std::abs(difference) / std::sqrt(variance) / std::numbers::sqrt2);
  return {difference, {difference - half, difference + half}, p};
}

}  // namespace winnow
