#include "serve/bandits/max_probability.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/math.h"

namespace winnow {
namespace {

constexpr double kTolerance = 1e-9;
constexpr int kDeepest = 24;

template <class F>
double simpson(const F& f, double a, double fa, double b, double fb, double fm, double whole, double tolerance,
               int depth) {
  const double m = (a + b) / 2, left = (a + m) / 2, right = (m + b) / 2;
  const double fl = f(left), fr = f(right);
  const double first = (m - a) / 6 * (fa + 4 * fl + fm), second = (b - m) / 6 * (fm + 4 * fr + fb);
  const double difference = first + second - whole;
  if (depth == 0 || std::abs(difference) <= 15 * tolerance) return first + second + difference / 15;
  return simpson(f, a, fa, m, fm, fl, first, tolerance / 2, depth - 1) +
         simpson(f, m, fm, b, fb, fr, second, tolerance / 2, depth - 1);
}

// Panels first, so that a peak between the points of a wide one is not missed.
template <class F>
double integrate(const F& f, double low, double high, int panels) {
  double sum = 0;
  const double width = (high - low) / panels;
  double a = low, fa = f(low);
  for (int i = 0; i < panels; ++i) {
    const double b = low + (i + 1) * width, fb = f(b), fm = f((a + b) / 2);
    sum += simpson(f, a, fa, b, fb, fm, (b - a) / 6 * (fa + 4 * fm + fb), kTolerance / panels, kDeepest);
    a = b, fa = fb;
  }
  return std::clamp(sum, 0.0, 1.0);
}

// Lentz's method for the continued fraction of the incomplete beta function.
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  const auto away = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double c = 1, d = 1 / away(1 - (a + b) * x / (a + 1)), h = d;
  for (int m = 1; m < 100000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d), c = away(1 + even / c), h *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d), c = away(1 + odd / c), h *= d * c;
    if (std::abs(d * c - 1) < 1e-15) break;
  }
  return h;
}

double log_beta(double a, double b) { return std::lgamma(a) + std::lgamma(b) - std::lgamma(a + b); }

}  // namespace

double beta_cdf(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(a * std::log(x) + b * std::log1p(-x) - log_beta(a, b));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double normal_max_probability(std::span<const double> means, std::span<const double> deviations, size_t c) {
  const auto below = [&](double s) {
    double product = 1;
    for (size_t b = 0; b < means.size() && product > 0; ++b) {
      if (b == c) continue;
      if (deviations[b] > 0)
        product *= math::normal_cdf((s - means[b]) / deviations[b]);
      else if (s < means[b] || (s == means[b] && b < c))
        product = 0;
    }
    return product;
  };
  if (!(deviations[c] > 0)) return below(means[c]);
  const auto density = [&](double z) { return math::normal_pdf(z) * below(means[c] + deviations[c] * z); };
  return integrate(density, -8.5, 8.5, 34);
}

double beta_max_probability(std::span<const double> alphas, std::span<const double> betas, size_t c) {
  // Over the logit t, where the density s^a (1 - s)^b / B(a, b) is bounded and falls off as exp(a t) and exp(-b t).
  struct Range {
    double low, high;
  };
  const auto range = [&](size_t b) {
    const double centre = std::log(alphas[b] / betas[b]);
    const double spread = 10 * std::sqrt((alphas[b] + betas[b]) / (alphas[b] * betas[b]));
    return Range{centre - spread - 40 / alphas[b], centre + spread + 40 / betas[b]};
  };
  std::vector<Range> ranges;
  for (size_t b = 0; b < alphas.size(); ++b) ranges.push_back(range(b));
  const double own = log_beta(alphas[c], betas[c]);
  const auto density = [&](double t) {
    // log s and log(1 - s) of s = 1 / (1 + e^-t)
    const double log_s = -(std::max(-t, 0.0) + std::log1p(std::exp(-std::abs(t)))), log_rest = log_s - t;
    double product = std::exp(alphas[c] * log_s + betas[c] * log_rest - own);
    for (size_t b = 0; b < alphas.size() && product > 0; ++b)
      if (b != c && t < ranges[b].high)
        product *= t <= ranges[b].low ? 0 : beta_cdf(alphas[b], betas[b], std::exp(log_s));
    return product;
  };
  return integrate(density, ranges[c].low, ranges[c].high, 64);
}

}  // namespace winnow
