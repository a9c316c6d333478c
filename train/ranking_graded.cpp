#include "train/ranking_graded.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/exact_sum.h"

namespace winnow {
namespace {

double gain_of(float grade, Gain gain) { return gain == Gain::Linear ? grade : std::exp2(double{grade}) - 1; }
double discount(size_t rank) { return 1 / std::log2(static_cast<double>(rank) + 1); }

size_t length_of(size_t rows, int64_t k) { return k == 0 ? rows : std::min(rows, static_cast<size_t>(k)); }

std::vector<uint32_t> falling(std::span<const float> keys) {
  std::vector<uint32_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return keys[a] > keys[b]; });
  return order;
}

double dcg(std::span<const float> grades, std::span<const uint32_t> order, size_t length, Gain gain) {
  double sum = 0;
  for (size_t r = 0; r < length; ++r) sum += gain_of(grades[order[r]], gain) * discount(r + 1);
  return sum;
}

// A run of equal scores shares the discounts of its places up to `length`.
double dcg_of_ties(std::span<const float> scores, std::span<const float> grades, std::span<const uint32_t> order,
                   size_t length, Gain gain) {
  double sum = 0;
  for (size_t begin = 0; begin < length;) {
    double gains = 0, discounts = 0;
    size_t end = begin;
    for (; end < order.size() && scores[order[end]] == scores[order[begin]]; ++end) {
      gains += gain_of(grades[order[end]], gain);
      if (end < length) discounts += discount(end + 1);
    }
    sum += gains / static_cast<double>(end - begin) * discounts;
    begin = end;
  }
  return sum;
}

void check_graded(const GradedRows& rows, int64_t k) {
  const size_t n = rows.scores.size();
  WN_CHECK(rows.grades.size() == n && rows.groups.size() == n, ShapeError,
           "ranking: {} scores with {} grades and {} groups; the lengths must agree", n, rows.grades.size(),
           rows.groups.size());
  WN_CHECK(k >= 0, ConfigError, "ranking: k = {} must not be negative; 0 is the whole list", k);
  for (size_t i = 0; i < n; ++i) {
    WN_CHECK(!std::isnan(rows.scores[i]), DataError, "ranking: row {}: the score is NaN", i);
    WN_CHECK(rows.grades[i] >= 0 && std::isfinite(rows.grades[i]), DataError,
             "ranking: row {}: grade {} must be finite and not negative", i, rows.grades[i]);
  }
}

MetricValue mean_over_lists(const char* name, int64_t k, std::vector<double> values, const BootstrapOptions& options) {
  MetricValue mean{.name = k == 0 ? name : fmt::format("{}@{}", name, k), .value = {}};
  if (values.empty()) {
    mean.reason = "no list has a grade above 0";
    return mean;
  }
  std::sort(values.begin(), values.end());  // neither value nor interval depends on the order of the lists
  ExactSum sum;
  for (const double v : values) sum.add(v);
  mean.value = sum.value() / static_cast<double>(values.size());
  const Interval interval = bootstrap_ratio(values, std::vector<double>(values.size(), 1.0), options);
  mean.low = interval.low;
  mean.high = interval.high;
  return mean;
}

}  // namespace

std::optional<double> ndcg(std::span<const float> scores, std::span<const float> grades, const NdcgOptions& options) {
  const size_t length = length_of(scores.size(), options.k);
  const double best = dcg(grades, falling(grades), length, options.gain);
  if (best == 0) return std::nullopt;
  const std::vector<uint32_t> order = falling(scores);
  return (options.ties == Ties::Average ? dcg_of_ties(scores, grades, order, length, options.gain)
                                        : dcg(grades, order, length, options.gain)) /
         best;
}

std::optional<double> average_precision_at(std::span<const float> scores, std::span<const float> grades, int64_t k) {
  const auto relevant = static_cast<size_t>(std::ranges::count_if(grades, [](float g) { return g > 0; }));
  if (relevant == 0) return std::nullopt;
  const std::vector<uint32_t> order = falling(scores);
  const size_t length = length_of(scores.size(), k);
  double hits = 0, precisions = 0;
  for (size_t r = 0; r < length; ++r) {
    if (!(grades[order[r]] > 0)) continue;
    hits += 1;
    precisions += hits / static_cast<double>(r + 1);
  }
  return precisions / static_cast<double>(std::min(length, relevant));
}

std::optional<double> reciprocal_rank_at(std::span<const float> scores, std::span<const float> grades, int64_t k) {
  if (std::ranges::none_of(grades, [](float g) { return g > 0; })) return std::nullopt;
  const std::vector<uint32_t> order = falling(scores);
  for (size_t r = 0; r < length_of(scores.size(), k); ++r)
    if (grades[order[r]] > 0) return 1 / static_cast<double>(r + 1);
  return 0;
}

GradedResult evaluate_graded(const GradedRows& rows, const NdcgOptions& options, const BootstrapOptions& bootstrap) {
  check_bootstrap(bootstrap);
  check_graded(rows, options.k);
  std::vector<uint32_t> order(rows.groups.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return rows.groups[a] < rows.groups[b]; });
  GradedResult result;
  std::vector<double> ndcgs, precisions, reciprocals;
  std::vector<float> scores, grades;
  for (size_t i = 0; i < order.size();) {
    const int64_t group = rows.groups[order[i]];
    scores.clear();
    grades.clear();
    for (; i < order.size() && rows.groups[order[i]] == group; ++i) {
      scores.push_back(rows.scores[order[i]]);
      grades.push_back(rows.grades[order[i]]);
    }
    const auto value = ndcg(scores, grades, options);
    if (!value) {
      ++result.skipped_groups;
      continue;
    }
    ndcgs.push_back(*value);
    precisions.push_back(*average_precision_at(scores, grades, options.k));
    reciprocals.push_back(*reciprocal_rank_at(scores, grades, options.k));
  }
  result.groups = static_cast<int64_t>(ndcgs.size());
  result.ndcg = mean_over_lists("ndcg", options.k, std::move(ndcgs), bootstrap);
  result.map = mean_over_lists("map", options.k, std::move(precisions), bootstrap);
  result.mrr = mean_over_lists("mrr", options.k, std::move(reciprocals), bootstrap);
  return result;
}

}  // namespace winnow
