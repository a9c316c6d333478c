#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/clean_filters.h"
#include "data/feature_map.h"
#include "data/string_index.h"

namespace winnow::detail {
namespace {

struct Bounds {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
};

// Of sorted numbers; linear between neighbours.
double quantile(std::span<const double> sorted, double p) {
  const double place = static_cast<double>(sorted.size() - 1) * p, below = std::floor(place);
  const auto i = static_cast<size_t>(below);
  if (i + 1 >= sorted.size()) return sorted.back();
  return sorted[i] + (place - below) * (sorted[i + 1] - sorted[i]);
}

class Outliers final : public CleanFilter {
 public:
  Outliers(const DropOutliers& spec, const RowReader& reader) : spec_(spec), column_(reader.column(spec.column)) {
    if (!spec.group.empty()) group_ = reader.column(spec.group);
    add_line("outliers", spec.column, setting());
    groups_.add("");  // of all rows when there is no group
  }
  bool has_fit() const override { return true; }

  void fit(const CleanRow& row) override {
    if (row.cells[column_].empty()) return;
    const double x = value(row);
    const int32_t group = spec_.group.empty() ? 0 : groups_.add(row.cells[group_]);
    if (spec_.method == DropOutliers::ZScore) {
      moments_.resize(static_cast<size_t>(groups_.size()));
      moments_[static_cast<size_t>(group)].add(x);
    } else {
      values_.push_back(x);
      if (!spec_.group.empty()) owners_.push_back(group);
    }
  }

  void end_fit() override {
    bounds_.assign(static_cast<size_t>(groups_.size()), {});
    if (spec_.method == DropOutliers::ZScore)
      for (size_t g = 0; g < moments_.size(); ++g) bounds_[g] = z_bounds(moments_[g]);
    else
      fit_quantiles();
    if (spec_.group.empty() && std::isfinite(bounds_[0].low)) lines_[0].what += range(bounds_[0]);
    values_ = {};
    owners_ = {};
    moments_ = {};
  }

  int apply(CleanRow& row) override {
    if (row.cells[column_].empty()) return kKept;
    const double x = value(row);
    const int32_t group = spec_.group.empty() ? 0 : groups_.find(row.cells[group_]);
    const Bounds& b = bounds_[static_cast<size_t>(group)];
    return x < b.low || x > b.high ? 0 : kKept;
  }

 private:
  // Welford 1962: one pass, in the order of the rows.
  struct Moments {
    int64_t count = 0;
    double mean = 0, squares = 0;
    void add(double x) {
      ++count;
      const double d = x - mean;
      mean += d / static_cast<double>(count);
      squares += d * (x - mean);
    }
  };

  double value(const CleanRow& row) const {
    const double x = number_at(row, column_, spec_.column, "outliers");
    return spec_.log ? transform(Normalizer::Log, x) : x;
  }

  Bounds z_bounds(const Moments& m) const {
    const double deviation = m.count > 0 ? std::sqrt(m.squares / static_cast<double>(m.count)) : 0;
    if (m.count < spec_.min_rows || deviation == 0) return {};
    return {m.mean - spec_.k * deviation, m.mean + spec_.k * deviation};
  }

  Bounds quantile_bounds(std::span<double> values) const {
    if (values.empty() || static_cast<int64_t>(values.size()) < spec_.min_rows) return {};
    std::ranges::sort(values);
    if (spec_.method == DropOutliers::Quantile) return {quantile(values, spec_.low), quantile(values, spec_.high)};
    const double q1 = quantile(values, 0.25), q3 = quantile(values, 0.75), spread = q3 - q1;
    if (spread == 0) return {};
    return {q1 - spec_.k * spread, q3 + spec_.k * spread};
  }

  // Numbers by group: a counting sort, then each group's own.
  void fit_quantiles() {
    if (owners_.empty()) {
      bounds_[0] = quantile_bounds(values_);
      return;
    }
    std::vector<size_t> begin(bounds_.size() + 1);
    for (const int32_t g : owners_) ++begin[static_cast<size_t>(g) + 1];
    for (size_t g = 1; g < begin.size(); ++g) begin[g] += begin[g - 1];
    std::vector<double> sorted(values_.size());
    std::vector<size_t> next(begin.begin(), begin.end() - 1);
    for (size_t i = 0; i < values_.size(); ++i) sorted[next[static_cast<size_t>(owners_[i])]++] = values_[i];
    for (size_t g = 0; g < bounds_.size(); ++g)
      bounds_[g] = quantile_bounds(std::span(sorted).subspan(begin[g], begin[g + 1] - begin[g]));
  }

  std::string setting() const {
    std::string text = spec_.method == DropOutliers::Iqr ? fmt::format("iqr, k {:g}", spec_.k)
                       : spec_.method == DropOutliers::ZScore
                           ? fmt::format("zscore, k {:g}", spec_.k)
                           : fmt::format("quantile {:g} to {:g}", spec_.low, spec_.high);
    if (spec_.log) text += ", log scale";
    if (!spec_.group.empty()) text += fmt::format(", of each {} with {} rows", spec_.group, spec_.min_rows);
    return text;
  }
  std::string range(const Bounds& b) const {
    const auto back = [this](double x) { return spec_.log ? std::copysign(std::expm1(std::abs(x)), x) : x; };
    return fmt::format(": outside {:.6g} to {:.6g}", back(b.low), back(b.high));
  }

  DropOutliers spec_;
  size_t column_, group_ = 0;
  StringIndex groups_;
  std::vector<double> values_;
  std::vector<int32_t> owners_;  // the group of each value
  std::vector<Moments> moments_;
  std::vector<Bounds> bounds_;
};

}  // namespace

FilterPointer make_filter(const DropOutliers& spec, const RowReader& reader) {
  return std::make_unique<Outliers>(spec, reader);
}

}  // namespace winnow::detail
