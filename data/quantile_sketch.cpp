#include "data/quantile_sketch.h"

#include <algorithm>
#include <cmath>

namespace winnow {

void QuantileSketch::add(double x) {
  if (levels_.empty()) levels_.emplace_back();
  levels_[0].numbers.push_back(x);
  ++count_;
  for (size_t level = 0; level < levels_.size() && levels_[level].numbers.size() > kSize; ++level) compact(level);
}

void QuantileSketch::compact(size_t level) {
  if (level + 1 == levels_.size()) levels_.emplace_back();
  Level& from = levels_[level];
  std::ranges::sort(from.numbers);
  // an even number moves, so that the weights of what moves and of what it stands for agree
  const size_t even = from.numbers.size() / 2 * 2;
  for (size_t i = from.second ? 1 : 0; i < even; i += 2) levels_[level + 1].numbers.push_back(from.numbers[i]);
  from.numbers.erase(from.numbers.begin(), from.numbers.begin() + static_cast<ptrdiff_t>(even));
  from.second = !from.second;
  rank_error_ += int64_t{1} << level;
}

std::vector<std::pair<double, int64_t>> QuantileSketch::weighted() const {
  std::vector<std::pair<double, int64_t>> all;
  for (size_t level = 0; level < levels_.size(); ++level)
    for (const double x : levels_[level].numbers) all.emplace_back(x, int64_t{1} << level);
  std::ranges::sort(all);
  return all;
}

std::vector<double> QuantileSketch::quantiles(const std::vector<double>& q) const {
  const auto all = weighted();
  std::vector<double> found;
  for (const double p : q) {
    const auto rank = static_cast<int64_t>(std::floor(p * static_cast<double>(count_ - 1)));
    double x = std::nan("");
    int64_t below = 0;
    for (const auto& [number, weight] : all) {
      x = number;
      below += weight;
      if (below > rank) break;
    }
    found.push_back(x);
  }
  return found;
}

}  // namespace winnow
