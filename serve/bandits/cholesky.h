// A = L L^T of a symmetric positive definite matrix, kept as L alone (packed lower triangle, row by row) and updated by
// rank-one terms. The one piece of linear algebra under the bandits and the reward models of off-policy evaluation.
//
// Why not the inverse by Sherman-Morrison, which costs the same O(n^2) an update: the factor stays positive definite,
// x^T A^-1 x = |L^-1 x|^2 cannot become negative, errors do not pile up over millions of updates (A^-1 loses its
// symmetry and then its sign), and a draw from N(m, A^-1) is m + L^-T z. Double precision.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace winnow {

class Cholesky {
 public:
  Cholesky() = default;
  Cholesky(int64_t n, double ridge);  // of ridge * I; ridge > 0
  // Of a full symmetric matrix [n, n], of which the lower triangle is read. DataError: not positive definite.
  static Cholesky of(std::span<const double> matrix, int64_t n);
  // From its packed triangle, n (n + 1) / 2 numbers: a saved one. DataError: another size, a diagonal that is not
  // positive, a number that is not finite.
  static Cholesky from_packed(std::vector<double> packed, int64_t n);

  int64_t size() const { return n_; }
  std::span<const double> packed() const { return l_; }

  // A += weight x x^T, weight >= 0 (Gill, Golub, Murray and Saunders 1974, method C1).
  void add(std::span<const double> x, double weight = 1);
  void solve(std::span<double> b) const;                 // b <- A^-1 b
  void solve_lower(std::span<double> b) const;           // b <- L^-1 b
  void solve_upper(std::span<double> b) const;           // b <- L^-T b
  double inverse_form(std::span<const double> x) const;  // x^T A^-1 x

 private:
  double* row(int64_t i) { return l_.data() + i * (i + 1) / 2; }
  const double* row(int64_t i) const { return l_.data() + i * (i + 1) / 2; }
  int64_t n_ = 0;
  std::vector<double> l_;
};

// Four partial sums: the same bits everywhere, and no chain of additions as long as the vector.
inline double dot(std::span<const double> a, std::span<const double> b) {
  double sum[4] = {};
  size_t i = 0;
  for (; i + 4 <= a.size(); i += 4)
    for (size_t k = 0; k < 4; ++k) sum[k] += a[i + k] * b[i + k];
  for (; i < a.size(); ++i) sum[0] += a[i] * b[i];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

}  // namespace winnow
