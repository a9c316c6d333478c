// Percentile bootstrap (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3): resample r draws
// n units (rows, or users where rows of one user belong together) with replacement from Philox stream (seed, r), so the
// interval depends on neither thread count nor the order in which resamples run.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace winnow {

struct BootstrapOptions {
  int resamples = 1000;      // 0: no interval; else at least 200
  double confidence = 0.95;  // in (0, 1)
  uint64_t seed = 20240229;
};
void check_bootstrap(const BootstrapOptions& options);  // ConfigError

struct Interval {
  double low, high;  // both NaN when there is none
};

// counts[i] = how often resample r draws unit i; the counts sum to counts.size(), which is at most 2^32 - 1.
void draw_resample(uint64_t seed, uint64_t r, std::span<uint32_t> counts);

// Called with the counts of one resample; writes one number for each statistic, NaN where it is undefined. It runs on
// several threads at once and must not throw.
using ResampledStatistics = std::function<void(std::span<const uint32_t> counts, std::span<double> values)>;

// [resamples * statistics]: the statistics of resample 0, of resample 1, ...; all NaN with no units.
std::vector<double> bootstrap_samples(int64_t units, int statistics, const ResampledStatistics& compute,
                                      const BootstrapOptions& options);

// The central `confidence` of each statistic over the resamples, quantiles interpolated linearly. Resamples in which a
// statistic is undefined are left out; the interval is NaN when that is more than a tenth of them, with no units or
// with resamples = 0.
std::vector<Interval> bootstrap(int64_t units, int statistics, const ResampledStatistics& compute,
                                const BootstrapOptions& options);

// Interval of sum_i numerators[i] / sum_i denominators[i] over units i: means, and weighted means by user.
Interval bootstrap_ratio(std::span<const double> numerators, std::span<const double> denominators,
                         const BootstrapOptions& options);

Interval percentile_interval(std::vector<double> samples, double confidence);

// Two-sided p-value of "the statistic is 0" from its bootstrap samples: 2 (1 + the fewer of those <= 0 and >= 0) /
// (1 + samples), at most 1 (Davison and Hinkley 1997, "Bootstrap Methods and their Application", section 4.4). It is
// never below 2 / (1 + samples). NaN in more than a tenth of the samples: NaN.
double bootstrap_p_value(std::span<const double> samples);

}  // namespace winnow
