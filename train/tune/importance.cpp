#include "train/tune/importance.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace winnow {
namespace {

// Ranks from 1, equal values share the mean of theirs.
std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> result(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t last = first + 1;
    while (last < order.size() && values[order[last]] == values[order[first]]) ++last;
    for (size_t i = first; i < last; ++i) result[order[i]] = static_cast<double>(first + last + 1) / 2;
    first = last;
  }
  return result;
}

double mean(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double ma = mean(a), mb = mean(b);
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - ma) * (b[i] - mb);
    aa += (a[i] - ma) * (a[i] - ma);
    bb += (b[i] - mb) * (b[i] - mb);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

double share(const std::vector<size_t>& group, const std::vector<double>& rank) {
  std::map<size_t, std::vector<double>> groups;
  for (size_t i = 0; i < rank.size(); ++i) groups[group[i]].push_back(rank[i]);
  const auto n = static_cast<double>(rank.size()), k = static_cast<double>(groups.size());
  if (groups.size() < 2 || n <= k) return 0;
  const double all = mean(rank);
  double between = 0, total = 0;
  for (const double r : rank) total += (r - all) * (r - all);
  for (const auto& [key, members] : groups)
    between += static_cast<double>(members.size()) * (mean(members) - all) * (mean(members) - all);
  if (total <= 0) return 0;
  return std::max(0.0, (between - (k - 1) * (total - between) / (n - k)) / total);
}

}  // namespace

std::vector<DimensionImportance> importances(const SearchSpace& space, std::span<const Point> points,
                                             std::span<const std::optional<double>> losses) {
  constexpr size_t kLeast = 6;
  std::vector<DimensionImportance> result(space.dimensions().size());
  for (size_t d = 0; d < result.size(); ++d) {
    std::vector<double> values, loss;
    for (size_t i = 0; i < points.size(); ++i) {
      if (!losses[i] || std::isnan(points[i][d])) continue;
      values.push_back(points[i][d]);
      loss.push_back(*losses[i]);
    }
    result[d].trials = static_cast<int64_t>(values.size());
    if (values.size() < kLeast) continue;
    const bool choice = space.dimensions()[d].kind == Dimension::Choice;
    const std::vector<double> by_value = ranks(values), by_loss = ranks(loss);
    const size_t bins = std::clamp<size_t>(values.size() / 5, 2, 8);
    std::vector<size_t> group;
    for (size_t i = 0; i < values.size(); ++i)
      group.push_back(choice ? static_cast<size_t>(values[i])
                             : static_cast<size_t>((by_value[i] - 1) / static_cast<double>(values.size()) *
                                                   static_cast<double>(bins)));
    result[d].share = share(group, by_loss);
    if (!choice) result[d].correlation = correlation(by_value, by_loss);
  }
  return result;
}

}  // namespace winnow
