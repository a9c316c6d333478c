#include "serve/bandits/max_probability.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/math.h"

namespace winnow {
namespace {

constexpr double kTolerance = 1e-9;
constexpr int kMostPieces = 2048;

// Simpson's rule over [a, b] as two halves, and what those two say of its error.
struct Piece {
  double a, b, fa, fl, fm, fr, fb, value, error;
};
template <class F>
Piece piece(const F& f, double a, double b, double fa, double fm, double fb) {
  const double m = (a + b) / 2, h = b - a;
  const double fl = f((a + m) / 2), fr = f((m + b) / 2);
  const double once = h / 6 * (fa + 4 * fm + fb), twice = h / 12 * (fa + 4 * fl + 2 * fm + 4 * fr + fb);
  return {a, b, fa, fl, fm, fr, fb, twice + (twice - once) / 15, std::abs(twice - once) / 15};
}

// Panels first, so that a peak between the points of a wide one is not missed; then the piece with the largest error is
// cut again and again, so that no integrand, however rough, takes more than kMostPieces.
template <class F>
double integrate(const F& f, double low, double high, int panels) {
  std::vector<Piece> heap;
  heap.reserve(static_cast<size_t>(panels) * 4);
  const auto smaller = [](const Piece& x, const Piece& y) { return x.error < y.error; };
  double error = 0, fa = f(low);
  for (int i = 0; i < panels; ++i) {
    const double a = low + (high - low) * i / panels, b = low + (high - low) * (i + 1) / panels, fb = f(b);
    heap.push_back(piece(f, a, b, fa, f((a + b) / 2), fb));
    error += heap.back().error;
    fa = fb;
  }
  std::ranges::make_heap(heap, smaller);
  while (error > kTolerance && heap.size() < kMostPieces) {
    std::ranges::pop_heap(heap, smaller);
    const Piece p = heap.back();
    const double m = (p.a + p.b) / 2;
    heap.back() = piece(f, p.a, m, p.fa, p.fl, p.fm);
    error += heap.back().error - p.error;
    std::ranges::push_heap(heap, smaller);
    heap.push_back(piece(f, m, p.b, p.fm, p.fr, p.fb));
    error += heap.back().error;
    std::ranges::push_heap(heap, smaller);
  }
  double sum = 0;
  for (const Piece& p : heap) sum += p.value;
  return std::clamp(sum, 0.0, 1.0);
}

// log Gamma(x) - ((x - 1/2) log x - x + log(2 pi) / 2), by Stirling's series where lgamma would cancel.
double stirling_rest(double x) {
  if (x < 16) return std::lgamma(x) - ((x - 0.5) * std::log(x) - x + 0.5 * std::log(2 * M_PI));
  const double y = 1 / (x * x);
  return (1.0 / 12 - y * (1.0 / 360 - y * (1.0 / 1260 - y / 1680))) / x;
}

// Beta(a, b) over the logit t, where its density s^a (1 - s)^b / B(a, b) is bounded and falls off as exp(a t) and
// exp(-b t). Written around the mean a / (a + b), so that large parameters do not cancel (Loader 2000).
class LogitBeta {
 public:
  LogitBeta(double a, double b)
      : a_(a),
        b_(b),
        mean_(a / (a + b)),
        rest_(b / (a + b)),
        centre_(std::log(a) - std::log(b)),
        deviation_(std::sqrt(1 / a + 1 / b)) {
    scale_ =
        stirling_rest(a + b) - stirling_rest(a) - stirling_rest(b) - 0.5 * std::log(2 * M_PI) - std::log(deviation_);
  }
  double low() const { return centre_ - 10 * deviation_ - 40 / a_; }
  double high() const { return centre_ + 10 * deviation_ + 40 / b_; }
  double density(double t) const {
    const double d = t - centre_;
    return std::exp(scale_ + a_ * log_ratio(mean_, rest_, -d) + b_ * log_ratio(rest_, mean_, d));
  }
  double below(double t) const;

 private:
  // -log(p + q e^d) of p + q = 1, each range by a form that does not cancel or overflow: log(s / mean) with q = rest
  // and -d, log((1 - s) / rest) with q = mean and d.
  static double log_ratio(double p, double q, double d) {
    if (d >= 700) return -d - std::log(q);
    return d > -0.7 || q < 0.5 ? -std::log1p(q * std::expm1(d)) : -std::log(p + q * std::exp(d));
  }
  double beyond(double t, double direction) const;
  double a_, b_, mean_, rest_, centre_, deviation_, scale_ = 0;
};

// The mass on t's outer side, direction -1 or 1: by Gauss and Legendre's eight points on pieces of a deviation, and of
// 1 where that is less, as the side of a small parameter falls off within 1 however wide the other is.
double LogitBeta::beyond(double t, double direction) const {
  constexpr std::array<double, 4> kAt = {0.1834346424956498, 0.5255324099163290, 0.7966664774136267,
                                         0.9602898564975363};
  constexpr std::array<double, 4> kWeight = {0.3626837833783620, 0.3137066458778873, 0.2223810344533745,
                                             0.1012285362903763};
  constexpr int kMost = 512;
  const double half = direction * std::min(deviation_, 1.0) / 2;
  double sum = 0;
  for (int i = 0; i < kMost; ++i) {
    const double m = t + (2 * i + 1) * half;
    double part = 0;
    for (size_t j = 0; j < kAt.size(); ++j)
      part += kWeight[j] * (density(m - half * kAt[j]) + density(m + half * kAt[j]));
    part *= std::abs(half);
    sum += part;
    if (part < 1e-13) break;
  }
  return std::min(sum, 1.0);
}

// Lentz's method for the continued fraction of the incomplete beta function.
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  const auto away = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double c = 1, d = 1 / away(1 - (a + b) * x / (a + 1)), h = d;
  for (int m = 1; m < 1000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d), c = away(1 + even / c), h *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d), c = away(1 + odd / c), h *= d * c;
    if (std::abs(d * c - 1) < 1e-15) break;
  }
  return h;
}

// The fraction takes about sqrt(max(a, b)) terms beside the mean, so that large parameters are integrated; but with one
// of them small its tail is long, and there the fraction of that one is short.
double LogitBeta::below(double t) const {
  if (t <= low()) return 0;
  if (t >= high()) return 1;
  constexpr double kLarge = 3000;
  const bool left = t < centre_;
  const double s = 1 / (1 + std::exp(-t)), rest = 1 / (1 + std::exp(t));
  if (std::max(a_, b_) <= kLarge || (left ? a_ : b_) < 1) {
    if (s < (a_ + 1) / (a_ + b_ + 2)) return std::min(density(t) * beta_fraction(a_, b_, s) / a_, 1.0);
    return std::max(1 - density(t) * beta_fraction(b_, a_, rest) / b_, 0.0);
  }
  return left ? beyond(t, -1) : 1 - beyond(t, 1);
}

}  // namespace

double beta_cdf(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  return LogitBeta(a, b).below(std::log(x) - std::log1p(-x));
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
  std::vector<LogitBeta> arms;
  arms.reserve(alphas.size());
  for (size_t b = 0; b < alphas.size(); ++b) arms.emplace_back(alphas[b], betas[b]);
  const auto density = [&](double t) {
    double product = arms[c].density(t);
    for (size_t b = 0; b < arms.size() && product > 0; ++b)
      if (b != c) product *= arms[b].below(t);
    return product;
  };
  return integrate(density, arms[c].low(), arms[c].high(), 64);
}

}  // namespace winnow
