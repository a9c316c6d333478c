// The metrics of ranked lists, from the list of each user.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/exact_sum.h"
#include "train/detail/ranked_users.h"

namespace winnow {
namespace {

using detail::Evaluated;
using detail::items_of;

enum Measure : int { kHitRate, kNdcg, kRecall, kPrecision, kReciprocalRank, kAveragePrecision, kMeasures };
constexpr const char* kNames[kMeasures] = {"hr", "ndcg", "recall", "precision", "mrr", "map"};

double discount(size_t rank) { return 1 / std::log2(static_cast<double>(rank) + 1); }

// values[kMeasures] of one user at one k.
void measure(const Evaluated& user, size_t k, std::span<double> values) {
  double hits = 0, gain = 0, ideal = 0, first = 0, precisions = 0;
  for (size_t r = 1; r <= std::min(k, user.top.size()); ++r) {
    if (!std::binary_search(user.targets.begin(), user.targets.end(), user.top[r - 1])) continue;
    if (hits == 0) first = 1 / static_cast<double>(r);
    hits += 1;
    gain += discount(r);
    precisions += hits / static_cast<double>(r);
  }
  for (size_t r = 1; r <= std::min(k, user.targets.size()); ++r) ideal += discount(r);
  values[kHitRate] = hits > 0 ? 1 : 0;
  values[kNdcg] = gain / ideal;
  values[kRecall] = hits / static_cast<double>(user.targets.size());
  values[kPrecision] = hits / static_cast<double>(k);
  values[kReciprocalRank] = first;
  values[kAveragePrecision] = precisions / static_cast<double>(std::min(k, user.targets.size()));
}

// coverage@k and gini@k, of how often each item is among the top k.
void append_exposure(std::span<const Evaluated> users, int k, std::span<const uint8_t> barred,
                     std::vector<MetricValue>& metrics) {
  std::vector<double> shown(barred.size());
  double sum = 0;
  for (const Evaluated& u : users) {
    for (size_t r = 0; r < std::min(static_cast<size_t>(k), u.top.size()); ++r, ++sum)
      shown[static_cast<size_t>(u.top[r])] += 1;
  }
  const auto distinct = static_cast<double>(std::ranges::count_if(shown, [](double x) { return x > 0; }));
  std::vector<double> able;
  for (size_t i = 0; i < shown.size(); ++i)
    if (barred[i] == 0) able.push_back(shown[i]);
  const auto n = static_cast<double>(able.size());
  metrics.push_back({.name = fmt::format("coverage@{}", k), .value = distinct / n});
  MetricValue gini{.name = fmt::format("gini@{}", k), .value = {}};
  std::sort(able.begin(), able.end());
  double weighted = 0;
  for (size_t i = 0; i < able.size(); ++i) weighted += (2 * static_cast<double>(i) + 1 - n) * able[i];
  if (sum > 0)
    gini.value = weighted / (n * sum);
  else
    gini.reason = "nothing was recommended";
  metrics.push_back(std::move(gini));
}

// Mean over users. The bootstrap sees them sorted by value, so that the interval does not depend on how users are
// numbered.
MetricValue mean_over_users(std::string name, std::vector<double> values, const BootstrapOptions& options,
                            const char* reason) {
  MetricValue mean{.name = std::move(name), .value = {}};
  if (values.empty()) {
    mean.reason = reason;
    return mean;
  }
  ExactSum sum;
  for (const double v : values) sum.add(v);
  mean.value = sum.value() / static_cast<double>(values.size());
  std::sort(values.begin(), values.end());
  const Interval interval = bootstrap_ratio(values, std::vector<double>(values.size(), 1.0), options);
  mean.low = interval.low;
  mean.high = interval.high;
  return mean;
}

constexpr const char* kNobody = "no user has a positive that may be ranked";

void append_measures(std::span<const Evaluated> users, int k, const BootstrapOptions& options,
                     std::vector<MetricValue>& metrics) {
  std::vector<double> columns[kMeasures];
  for (const Evaluated& u : users) {
    double values[kMeasures];
    measure(u, static_cast<size_t>(k), values);
    for (int m = 0; m < kMeasures; ++m) columns[m].push_back(values[m]);
  }
  for (int m = 0; m < kMeasures; ++m)
    metrics.push_back(mean_over_users(fmt::format("{}@{}", kNames[m], k), std::move(columns[m]), options, kNobody));
}

// Categories of each item, sorted, for the distances of diversity.
std::vector<std::vector<int64_t>> category_sets(const RankingProblem& problem) {
  std::vector<std::vector<int64_t>> sets;
  if (problem.item_categories.offsets.empty()) return sets;
  for (int64_t item = 0; item < problem.items; ++item) {
    const auto ids = items_of(problem.item_categories, item);
    sets.emplace_back(ids.begin(), ids.end());
    std::sort(sets.back().begin(), sets.back().end());
    sets.back().erase(std::unique(sets.back().begin(), sets.back().end()), sets.back().end());
  }
  return sets;
}

double jaccard_distance(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  size_t common = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    common += a[i] == b[j];
    const bool first = a[i] <= b[j], second = b[j] <= a[i];
    i += first;
    j += second;
  }
  return 1 - static_cast<double>(common) / static_cast<double>(a.size() + b.size() - common);
}

// NaN for a list without a pair of items that have categories.
double diversity_of(std::span<const int64_t> list, const std::vector<std::vector<int64_t>>& sets) {
  double sum = 0, pairs = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    const auto& a = sets[static_cast<size_t>(list[i])];
    for (size_t j = 0; j < i && !a.empty(); ++j) {
      const auto& b = sets[static_cast<size_t>(list[j])];
      if (b.empty()) continue;
      sum += jaccard_distance(a, b);
      pairs += 1;
    }
  }
  return pairs > 0 ? sum / pairs : std::numeric_limits<double>::quiet_NaN();
}

// novelty@k and diversity@k, where the problem has what they need.
void append_list_measures(const RankingProblem& problem, const std::vector<std::vector<int64_t>>& sets,
                          std::span<const Evaluated> users, int k, const BootstrapOptions& options,
                          std::vector<MetricValue>& metrics) {
  const auto list = [k](const Evaluated& u) {
    return std::span(u.top).first(std::min(static_cast<size_t>(k), u.top.size()));
  };
  if (!problem.item_counts.empty()) {
    double all = static_cast<double>(problem.items);
    for (const double c : problem.item_counts) all += c;
    std::vector<double> values;
    for (const Evaluated& u : users) {
      double sum = 0;
      for (const int64_t item : list(u)) sum -= std::log2((problem.item_counts[static_cast<size_t>(item)] + 1) / all);
      if (!u.top.empty()) values.push_back(sum / static_cast<double>(list(u).size()));
    }
    metrics.push_back(
        mean_over_users(fmt::format("novelty@{}", k), std::move(values), options, "nothing was recommended"));
  }
  if (sets.empty()) return;
  const std::string name = fmt::format("diversity@{}", k);
  if (k > kMostDiversityItems) {
    metrics.push_back({.name = name, .value = {}, .reason = fmt::format("k is over {}", kMostDiversityItems)});
    return;
  }
  std::vector<double> values;
  for (const Evaluated& u : users)
    if (const double d = diversity_of(list(u), sets); !std::isnan(d)) values.push_back(d);
  metrics.push_back(mean_over_users(name, std::move(values), options, "no list has two items with categories"));
}

void append_sampled(std::span<const Evaluated> users, int k, const RankingOptions& options,
                    std::vector<MetricValue>& metrics) {
  std::vector<double> columns[3];
  for (const Evaluated& u : users) {
    double sums[3] = {0, 0, 0};
    for (const size_t rank : u.sampled_ranks) {
      if (rank > static_cast<size_t>(k)) continue;
      sums[0] += 1;
      sums[1] += discount(rank);
      sums[2] += 1 / static_cast<double>(rank);
    }
    for (int m = 0; m < 3; ++m) columns[m].push_back(sums[m] / static_cast<double>(u.sampled_ranks.size()));
  }
  for (int m = 0; m < 3; ++m) {
    const char* name = m == 0 ? "hr" : m == 1 ? "ndcg" : "mrr";
    metrics.push_back(mean_over_users(fmt::format("{}@{} (1+{} sampled)", name, k, options.sampled_negatives),
                                      std::move(columns[m]), options.bootstrap, kNobody));
  }
}

}  // namespace

void detail::append_ranking_metrics(const RankingProblem& problem, const RankingOptions& options,
                                    std::span<const Evaluated> users, std::span<const uint8_t> barred,
                                    RankingResult& result) {
  const auto sets = category_sets(problem);
  for (const int k : options.ks) {
    append_measures(users, k, options.bootstrap, result.metrics);
    append_exposure(users, k, barred, result.metrics);
    append_list_measures(problem, sets, users, k, options.bootstrap, result.metrics);
    if (options.sampled_negatives > 0) append_sampled(users, k, options, result.sampled);
  }
}

}  // namespace winnow
