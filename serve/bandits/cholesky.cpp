#include "serve/bandits/cholesky.h"

#include <cmath>

#include "core/error.h"

namespace winnow {

Cholesky::Cholesky(int64_t n, double ridge) : n_(n), l_(static_cast<size_t>(n * (n + 1) / 2), 0.0) {
  WN_CHECK(ridge > 0 && std::isfinite(ridge), ConfigError, "ridge {} must be positive", ridge);
  for (int64_t i = 0; i < n; ++i) row(i)[i] = std::sqrt(ridge);
}

Cholesky Cholesky::of(std::span<const double> matrix, int64_t n) {
  WN_CHECK(matrix.size() == static_cast<size_t>(n * n), ShapeError, "cholesky(): {} numbers for a matrix [{}, {}]",
           matrix.size(), n, n);
  Cholesky c(n, 1);
  for (int64_t i = 0; i < n; ++i) {
    double* li = c.row(i);
    for (int64_t j = 0; j <= i; ++j) {
      const double* lj = c.row(j);
      const auto m = static_cast<size_t>(j);
      const double rest = matrix[static_cast<size_t>(i * n + j)] - dot({li, m}, {lj, m});
      if (j < i) {
        li[j] = rest / lj[j];
        continue;
      }
      WN_CHECK(rest > 0 && std::isfinite(rest), DataError,
               "cholesky(): the matrix [{}, {}] is not positive definite (pivot {} is {}); use a larger ridge", n, n, i,
               rest);
      li[i] = std::sqrt(rest);
    }
  }
  return c;
}

Cholesky Cholesky::from_packed(std::vector<double> packed, int64_t n) {
  WN_CHECK(n >= 0 && packed.size() == static_cast<size_t>(n * (n + 1) / 2), DataError,
           "cholesky(): {} numbers for a triangle of {} rows", packed.size(), n);
  for (const double v : packed)
    WN_CHECK(std::isfinite(v), DataError, "cholesky(): a number of the factor is not finite");
  Cholesky c;
  c.n_ = n;
  c.l_ = std::move(packed);
  for (int64_t i = 0; i < n; ++i)
    WN_CHECK(c.row(i)[i] > 0, DataError, "cholesky(): diagonal element {} of the factor is not positive", i);
  return c;
}

void Cholesky::add(std::span<const double> x, double weight) {
  const double scale = std::sqrt(weight);
  // Each column has a rotation (c, s); a row meets those of the columns before it, then makes its own.
  std::vector<double> rotations(2 * static_cast<size_t>(n_));
  for (int64_t i = 0; i < n_; ++i) {
    double* li = row(i);
    double xi = scale * x[static_cast<size_t>(i)];
    for (int64_t j = 0; j < i; ++j) {
      const double c = rotations[static_cast<size_t>(2 * j)], s = rotations[static_cast<size_t>(2 * j + 1)];
      const double l = c * li[j] + s * xi;
      xi = c * xi - s * li[j];
      li[j] = l;
    }
    const double r = std::hypot(li[i], xi);
    rotations[static_cast<size_t>(2 * i)] = li[i] / r;
    rotations[static_cast<size_t>(2 * i + 1)] = xi / r;
    li[i] = r;
  }
}

void Cholesky::solve_lower(std::span<double> b) const {
  for (int64_t i = 0; i < n_; ++i) {
    const auto m = static_cast<size_t>(i);
    b[m] = (b[m] - dot({row(i), m}, b.first(m))) / row(i)[i];
  }
}

void Cholesky::solve_upper(std::span<double> b) const {
  for (int64_t i = n_ - 1; i >= 0; --i) {
    const double* li = row(i);
    const double v = b[static_cast<size_t>(i)] / li[i];
    b[static_cast<size_t>(i)] = v;
    for (int64_t j = 0; j < i; ++j) b[static_cast<size_t>(j)] -= v * li[j];
  }
}

void Cholesky::solve(std::span<double> b) const {
  solve_lower(b);
  solve_upper(b);
}

double Cholesky::inverse_form(std::span<const double> x) const {
  std::vector<double> y(x.begin(), x.end());
  solve_lower(y);
  return dot(y, y);
}

}  // namespace winnow
