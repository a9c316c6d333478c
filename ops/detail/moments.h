// Mean and deviation of a row, and its normalisation (Ba, Kiros, Hinton 2016).
#pragma once
#include <cmath>

#include "ops/detail/lanes.h"

namespace winnow::detail {

template <class T>
struct Moments {
  T mean, rstd;  // rstd = 1 / sqrt(variance + eps)
  Moments(T mean_, T rstd_) : mean(mean_), rstd(rstd_) {}
  Moments(int64_t n, const T* x, T eps) : mean(row_sum(n, x) / static_cast<T>(n)) {
    const auto square = [m = mean](auto v) {
      const auto d = v - m;
      return d * d;
    };
    rstd = 1 / std::sqrt(row_sum<T>(n, square, x) / static_cast<T>(n) + eps);
  }
};

// y = (x - mean) rstd gamma + beta; y may be x.
template <class T>
void normalise_row(int64_t n, const Moments<T>& m, const T* x, const T* gamma, const T* beta, T* y) {
  const T mean = m.mean, rstd = m.rstd;
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) y[j] = (x[j] - mean) * rstd * gamma[j] + beta[j];
}

// dx of normalise_row; adds to dgamma and dbeta. dx may be dy or x.
template <class T>
void normalise_row_grad(int64_t n, const Moments<T>& m, const T* dy, const T* x, const T* gamma, T* dx, T* dgamma,
                        T* dbeta) {
  const T mean = m.mean, rstd = m.rstd;
  const auto weighted = [](auto d, auto g) { return d * g; };
  const auto product = [mean, rstd](auto d, auto g, auto v) { return d * g * ((v - mean) * rstd); };
  const T a = row_sum<T>(n, weighted, dy, gamma) / static_cast<T>(n);
  const T b = row_sum<T>(n, product, dy, gamma, x) / static_cast<T>(n);
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) {
    const T d = dy[j], h = (x[j] - mean) * rstd;
    dgamma[j] += d * h;
    dbeta[j] += d;
    dx[j] = rstd * (d * gamma[j] - a - h * b);
  }
}

}  // namespace winnow::detail
