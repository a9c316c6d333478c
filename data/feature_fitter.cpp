#include "data/feature_fitter.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/cell_parts.h"
#include "data/timestamp.h"

namespace winnow {
namespace {

// a b exactly, as two terms (Dekker 1971 with a fused multiply-add).
void add_product(ExactSum& sum, double a, double b) {
  const double high = a * b;
  sum.add(high);
  if (std::isfinite(high)) sum.add(std::fma(a, b, -high));
}

struct Moments {
  double mean = 0, squares = 0;  // squares: sum of (x - mean)^2
};

// With m the rounded mean, sum (x - m)^2 = sum x^2 - 2 m sum x + n m^2: every product is exact, so the difference does
// not lose digits however large the mean is beside the deviation.
Moments moments(double n, const ExactSum& sum, const ExactSum& squares) {
  if (n == 0) return {};
  const double high = sum.value();
  ExactSum rest = sum;
  rest.add(-high);
  const double low = rest.value(), mean = high / n;
  ExactSum about = squares;
  add_product(about, -2 * mean, high);
  add_product(about, -2 * mean, low);
  const double square = mean * mean;
  add_product(about, n, square);
  if (std::isfinite(square)) add_product(about, n, std::fma(mean, mean, -square));
  return {mean, std::max(0.0, about.value())};
}

}  // namespace

void FeatureFitter::add(std::string_view cell, int64_t count) {
  if (reads_numbers(spec_)) {
    if (cell.empty()) return;
    const auto x = parse_number(cell);
    WN_CHECK(x, DataError, "feature {}: {} is not a number", quoted(spec_.name), quoted(cell));
    return add_number(*x, count);
  }
  detail::for_each_part(spec_, cell, [&](std::string_view part) {
    const auto number = static_cast<size_t>(values_.add(part));
    if (number == counts_.size()) counts_.push_back(0);
    counts_[number] += count;
  });
}

void FeatureFitter::add_number(double x, int64_t count) {
  if (std::isnan(x)) return;
  const double y = transform(spec_.normalizer, x), n = static_cast<double>(count);
  numbers_ += n;
  add_product(sum_, y, n);
  const double square = y * y;
  add_product(squares_, square, n);
  if (std::isfinite(square)) add_product(squares_, std::fma(y, y, -square), n);
}

void FeatureFitter::merge(const FeatureFitter& other) {
  for (int32_t i = 0; i < other.values_.size(); ++i) {
    const auto number = static_cast<size_t>(values_.add(other.values_.text(i)));
    if (number == counts_.size()) counts_.push_back(0);
    counts_[number] += other.counts_[static_cast<size_t>(i)];
  }
  numbers_ += other.numbers_;
  sum_.merge(other.sum_);
  squares_.merge(other.squares_);
}

Vocabulary FeatureFitter::vocabulary() const {
  std::vector<int32_t> order(counts_.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](int32_t a, int32_t b) {
    const int64_t x = counts_[static_cast<size_t>(a)], y = counts_[static_cast<size_t>(b)];
    return x != y ? x > y : values_.text(a) < values_.text(b);
  });
  Vocabulary vocabulary;
  for (const int32_t number : order) {
    if (counts_[static_cast<size_t>(number)] < spec_.min_categr_count) break;
    vocabulary.add(values_.text(number));
  }
  return vocabulary;
}

void FeatureFitter::scale(FittedFeature& feature) const {
  const auto [mean, squares] = moments(numbers_, sum_, squares_);
  WN_CHECK(std::isfinite(mean) && std::isfinite(squares), DataError,
           "feature {}: numbers so large that their squares overflow; use `normalizer: log_standard`",
           quoted(spec_.name));
  if (spec_.normalizer == Normalizer::Standard || spec_.normalizer == Normalizer::LogStandard) {
    feature.mean = mean;
    if (squares > 0) feature.deviation = std::sqrt(squares / numbers_);
  }
  feature.missing = (mean - feature.mean) / feature.deviation;
  if (!spec_.fill_na) return;
  feature.missing = (transform(spec_.normalizer, *parse_number(*spec_.fill_na)) - feature.mean) / feature.deviation;
}

FittedFeature FeatureFitter::finish() && {
  FittedFeature feature;
  feature.spec = spec_;
  if (reads_numbers(spec_))
    scale(feature);
  else
    feature.vocabulary = vocabulary();
  return feature;
}

std::vector<FittedFeature> finish(std::vector<FeatureFitter> fitters) {
  std::vector<FittedFeature> features;
  for (FeatureFitter& fitter : fitters) features.push_back(std::move(fitter).finish());
  return features;
}

}  // namespace winnow
