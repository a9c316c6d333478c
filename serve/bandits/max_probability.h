// P(X_c is the largest of X_1, ..., X_n) of independent variables: the propensities of Thompson sampling where arms
// share nothing. p_c = integral f_c(s) prod_{b != c} F_b(s) ds by adaptive Simpson; absolute error below 1e-8, and a
// bounded number of steps for any parameters.
#pragma once
#include <cstddef>
#include <span>

namespace winnow {

// X_b ~ N(mean_b, deviation_b^2), deviation >= 0; of equal constants the first is the largest.
double normal_max_probability(std::span<const double> means, std::span<const double> deviations, size_t c);
// X_b ~ Beta(alpha_b, beta_b), parameters in [kLeastBeta, kMostBeta].
constexpr double kLeastBeta = 1e-3, kMostBeta = 1e15;
double beta_max_probability(std::span<const double> alphas, std::span<const double> betas, size_t c);

// I_x(a, b), the distribution function of Beta(a, b) (continued fraction, Abramowitz and Stegun 26.5.8; large
// parameters by quadrature).
double beta_cdf(double a, double b, double x);

}  // namespace winnow
