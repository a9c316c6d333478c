#include "data/feature_fitter.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/cell_parts.h"
#include "data/image.h"
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

constexpr double kLargest = 1e300;

bool wants_quantiles(const FeatureSpec& s) {
  return s.type == FeatureType::Numeric && (s.quantiles > 0 || (!has_ids(s) && s.normalizer == Normalizer::Quantile));
}

int64_t total(const std::vector<std::pair<double, int64_t>>& counts) {
  int64_t n = 0;
  for (const auto& [x, count] : counts) n += count;
  return n;
}

std::vector<double> quantile_cuts(const detail::ValueCounts& distribution, int64_t parts) {
  const auto counts = distribution.sorted();
  const double n = static_cast<double>(total(counts)), q = static_cast<double>(parts);
  std::vector<double> cuts;
  int64_t below = 0, part = 1;
  for (const auto& [x, count] : counts) {
    const bool cut = part < parts && static_cast<double>(below) * q >= static_cast<double>(part) * n;
    if (cut && below > 0) cuts.push_back(x);
    while (part < parts && static_cast<double>(below) * q >= static_cast<double>(part) * n) ++part;
    below += count;
  }
  return cuts;
}

// The knots: every distinct value while there are few, else those whose levels lie most evenly.
void fit_knots(const detail::ValueCounts& distribution, FittedFeature& feature) {
  const auto counts = distribution.sorted();
  const double n = static_cast<double>(total(counts));
  const bool all = static_cast<int64_t>(counts.size()) <= kMaxKnots;
  int64_t below = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const auto& [x, count] = counts[i];
    const double level = (static_cast<double>(below) + static_cast<double>(count) / 2) / n;
    below += count;
    const double next = feature.levels.empty() ? 0 : feature.levels.back() + 1.0 / static_cast<double>(kMaxKnots - 1);
    if (!all && level < next && i + 1 < counts.size()) continue;
    if (static_cast<int64_t>(feature.knots.size()) == kMaxKnots) feature.knots.pop_back(), feature.levels.pop_back();
    feature.knots.push_back(x);
    feature.levels.push_back(level);
  }
  WN_CHECK(counts.empty() || std::isfinite(feature.knots.back() - feature.knots.front()), DataError,
           "feature {}: numbers from {} to {}, too far apart to be scaled", quoted(feature.spec.name),
           feature.knots.front(), feature.knots.back());
}

}  // namespace

void FeatureFitter::add(std::string_view cell, int64_t count) {
  if (reads_numbers(spec_)) {
    if (cell.empty()) return;
    const auto x = parse_number(cell);
    WN_CHECK(x, DataError, "feature {}: {} is not a number", quoted(spec_.name), quoted(cell));
    return add_number(*x, count);
  }
  if (spec_.type == FeatureType::Image) return add_image(cell, count);
  if (!has_vocabulary(spec_)) return;
  detail::for_each_part(spec_, cell, [&](std::string_view part) {
    const auto number = static_cast<size_t>(values_.add(part));
    if (number == counts_.size()) counts_.push_back(0);
    counts_[number] += count;
  });
}

void FeatureFitter::add_number(double x, int64_t count) {
  if (std::isnan(x)) return;
  if (wants_quantiles(spec_)) return distribution_.add(x, count);
  if (has_ids(spec_)) return;
  const double y = transform(spec_.normalizer, x), n = static_cast<double>(count);
  numbers_ += n;
  least_ = std::min(least_, y);
  most_ = std::max(most_, y);
  add_product(sum_, y, n);
  const double square = y * y;
  add_product(squares_, square, n);
  if (std::isfinite(square)) add_product(squares_, std::fma(y, y, -square), n);
}

void FeatureFitter::add_image(std::string_view cell, int64_t count) {
  if (cell.empty()) return;
  image_.clear();
  read_image(spec_.folder, cell, spec_.size, image_);
  image_sum_.resize(image_.size());
  for (size_t i = 0; i < image_.size(); ++i)
    image_sum_[i] += count * std::llround(std::ldexp(static_cast<double>(image_[i]), 32));
  images_ += count;
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
  least_ = std::min(least_, other.least_);
  most_ = std::max(most_, other.most_);
  distribution_.merge(other.distribution_);
  image_sum_.resize(std::max(image_sum_.size(), other.image_sum_.size()));
  for (size_t i = 0; i < other.image_sum_.size(); ++i) image_sum_[i] += other.image_sum_[i];
  images_ += other.images_;
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

void FeatureFitter::fit_moments(FittedFeature& feature) const {
  const auto [mean, squares] = moments(numbers_, sum_, squares_);
  WN_CHECK(std::isfinite(mean) && std::isfinite(squares) && !(most_ - least_ > kLargest), DataError,
           "feature {}: numbers so large that their squares overflow; use `normalizer: log_standard`",
           quoted(spec_.name));
  if (spec_.normalizer == Normalizer::Standard || spec_.normalizer == Normalizer::LogStandard) {
    feature.mean = mean;
    if (squares > 0) feature.deviation = std::sqrt(squares / numbers_);
  }
  if (spec_.normalizer == Normalizer::MinMax && numbers_ > 0) {
    feature.mean = least_;
    if (most_ > least_) feature.deviation = most_ - least_;
  }
  feature.missing = (mean - feature.mean) / feature.deviation;
}

void FeatureFitter::fit_scale(FittedFeature& feature) const {
  if (has_ids(spec_)) {
    feature.boundaries = spec_.quantiles > 0 ? quantile_cuts(distribution_, spec_.quantiles) : spec_.boundaries;
    return;
  }
  if (spec_.normalizer == Normalizer::Quantile) {
    fit_knots(distribution_, feature);
    feature.missing = 0.5;  // the mean of F over the training values
  } else {
    fit_moments(feature);
  }
  if (spec_.fill_na) feature.missing = feature.scaled(*parse_number(*spec_.fill_na));
}

void FeatureFitter::fit_mean_image(FittedFeature& feature) const {
  feature.mean_image.resize(static_cast<size_t>(feature.width()), 0.5f);
  for (size_t i = 0; i < image_sum_.size() && images_ > 0; ++i)
    feature.mean_image[i] =
        static_cast<float>(std::ldexp(static_cast<double>(image_sum_[i]), -32) / static_cast<double>(images_));
}

FittedFeature FeatureFitter::finish() && {
  FittedFeature feature;
  feature.spec = spec_;
  if (reads_numbers(spec_))
    fit_scale(feature);
  else if (spec_.type == FeatureType::Image)
    fit_mean_image(feature);
  else if (has_vocabulary(spec_))
    feature.vocabulary = vocabulary();
  WN_CHECK(has_ids(spec_) || feature.vocabulary.size() <= kMaxOneHot, DataError,
           "feature {}: one_hot would make {} columns, at most {}: use `encoding: label`, or raise min_categr_count",
           quoted(spec_.name), feature.vocabulary.size(), kMaxOneHot);
  return feature;
}

std::vector<FittedFeature> finish(std::vector<FeatureFitter> fitters) {
  const auto owner = [&](const std::string& name) {
    const auto at = std::ranges::find(fitters, name, [](const FeatureFitter& f) { return f.spec().name; });
    WN_CHECK(at != fitters.end(), ConfigError, "share_embedding: there is no feature {}", quoted(name));
    return static_cast<size_t>(at - fitters.begin());
  };
  std::vector<size_t> from(fitters.size());
  for (size_t i = 0; i < fitters.size(); ++i) {
    const std::string& shared = fitters[i].spec().share_embedding;
    from[i] = shared.empty() ? i : owner(shared);
    if (from[i] != i) fitters[from[i]].merge(fitters[i]);
  }
  std::vector<FittedFeature> features;
  for (size_t i = 0; i < fitters.size(); ++i) {
    if (from[i] == i) {
      features.push_back(std::move(fitters[i]).finish());
      continue;
    }
    FittedFeature sharing;
    sharing.spec = fitters[i].spec();
    features.push_back(std::move(sharing));
  }
  for (size_t i = 0; i < features.size(); ++i) features[i].vocabulary = features[from[i]].vocabulary;
  return features;
}

}  // namespace winnow
