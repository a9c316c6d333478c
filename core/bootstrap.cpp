#include "core/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"

namespace winnow {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kNarrowDraws = size_t{1} << 20;  // below it a 32-bit draw is uniform to 2^-12
constexpr uint64_t kStream = 0x626f6f74;          // "boot": apart from the streams of initialisation and dropout

double quantile(std::span<const double> sorted, double q) {
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto i = static_cast<size_t>(position);
  const double next = sorted[std::min(i + 1, sorted.size() - 1)];
  return sorted[i] + (position - static_cast<double>(i)) * (next - sorted[i]);
}

}  // namespace

void check_bootstrap(const BootstrapOptions& options) {
  WN_CHECK(options.resamples == 0 || options.resamples >= 200, ConfigError,
           "bootstrap: {} resamples; use 0 for no interval, else at least 200", options.resamples);
  WN_CHECK(options.confidence > 0 && options.confidence < 1, ConfigError, "bootstrap: confidence {} must lie in (0, 1)",
           options.confidence);
}

void draw_resample(uint64_t seed, uint64_t r, std::span<uint32_t> counts) {
  const size_t n = counts.size();
  std::fill(counts.begin(), counts.end(), 0u);
  const Philox philox{seed, kStream};
  if (n > kNarrowDraws) {
    for (size_t i = 0; i < n; i += 2) {
      const auto b = philox(i / 2, r);
      // (64-bit draw * n) >> 64; nothing overflows as n < 2^32
      const auto draw = [&](uint64_t high, uint64_t low) { return (high * n + ((low * n) >> 32)) >> 32; };
      ++counts[draw(b[0], b[1])];
      if (i + 1 < n) ++counts[draw(b[2], b[3])];
    }
    return;
  }
  for (size_t i = 0; i < n; i += 4) {
    const auto b = philox(i / 4, r);
    for (size_t k = 0; k < std::min<size_t>(4, n - i); ++k) ++counts[(uint64_t{b[k]} * n) >> 32];
  }
}

std::vector<double> bootstrap_samples(int64_t units, int statistics, const ResampledStatistics& compute,
                                      const BootstrapOptions& options) {
  check_bootstrap(options);
  WN_CHECK(units < int64_t{1} << 32, ConfigError, "bootstrap: {} units, the limit is 2^32 - 1", units);
  const auto width = static_cast<size_t>(statistics), resamples = static_cast<size_t>(options.resamples);
  std::vector<double> values(resamples * width, kNaN);
  if (units <= 0) return values;
  // one count vector a worker, made here: nothing may throw inside the loop
  const size_t workers = std::min(static_cast<size_t>(num_threads()), resamples);
  std::vector<std::vector<uint32_t>> counts(workers, std::vector<uint32_t>(static_cast<size_t>(units)));
  parallel_tasks(static_cast<int64_t>(workers), [&](int64_t worker) {
    auto& mine = counts[static_cast<size_t>(worker)];
    for (auto r = static_cast<size_t>(worker); r < resamples; r += workers) {
      draw_resample(options.seed, r, mine);
      compute(mine, std::span(values).subspan(r * width, width));
    }
  });
  return values;
}

std::vector<Interval> bootstrap(int64_t units, int statistics, const ResampledStatistics& compute,
                                const BootstrapOptions& options) {
  const std::vector<double> values = bootstrap_samples(units, statistics, compute, options);
  const auto width = static_cast<size_t>(statistics), resamples = static_cast<size_t>(options.resamples);
  std::vector<Interval> intervals;
  for (size_t s = 0; s < width; ++s) {
    std::vector<double> samples(resamples);
    for (size_t r = 0; r < resamples; ++r) samples[r] = values[r * width + s];
    intervals.push_back(percentile_interval(std::move(samples), options.confidence));
  }
  return intervals;
}

Interval bootstrap_ratio(std::span<const double> numerators, std::span<const double> denominators,
                         const BootstrapOptions& options) {
  WN_CHECK(numerators.size() == denominators.size(), ShapeError, "bootstrap: {} numerators with {} denominators",
           numerators.size(), denominators.size());
  const auto compute = [&](std::span<const uint32_t> counts, std::span<double> values) {
    double numerator = 0, denominator = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
      numerator += counts[i] * numerators[i];
      denominator += counts[i] * denominators[i];
    }
    values[0] = denominator > 0 ? numerator / denominator : kNaN;
  };
  return bootstrap(static_cast<int64_t>(numerators.size()), 1, compute, options)[0];
}

Interval percentile_interval(std::vector<double> samples, double confidence) {
  const size_t all = samples.size();
  std::erase_if(samples, [](double v) { return std::isnan(v); });
  if (samples.empty() || (all - samples.size()) * 10 > all) return {kNaN, kNaN};
  std::sort(samples.begin(), samples.end());
  return {quantile(samples, (1 - confidence) / 2), quantile(samples, (1 + confidence) / 2)};
}

double bootstrap_p_value(std::span<const double> samples) {
  int64_t low = 0, high = 0, defined = 0;
  for (const double v : samples) {
    low += v <= 0;
    high += v >= 0;
    defined += !std::isnan(v);
  }
  const auto all = static_cast<int64_t>(samples.size());
  if (defined == 0 || (all - defined) * 10 > all) return kNaN;
  return std::min(1.0, 2 * static_cast<double>(1 + std::min(low, high)) / static_cast<double>(1 + defined));
}

}  // namespace winnow
