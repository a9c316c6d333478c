// The plain product that every dense kernel is compared with: sums in double, one element after the other.
#pragma once
#include <algorithm>
#include <type_traits>

#include "core/parallel.h"

namespace winnow::detail {

// Adds row i of op(a) times `columns` columns of op(b) from j0 on.
template <class T, class Columns>
void add_products(int64_t m, int64_t n, int64_t k, const T* a, bool trans_a, const T* b, bool trans_b, int64_t i,
                  int64_t j0, Columns columns, double* sum) {
  for (int64_t q = 0; q < k; ++q) {
    const double x = static_cast<double>(trans_a ? a[q * m + i] : a[i * k + q]);
    const T* y = trans_b ? b + j0 * k + q : b + q * n + j0;
    const int64_t step = trans_b ? k : 1;
    for (int64_t j = 0; j < columns; ++j) sum[j] += x * static_cast<double>(y[j * step]);
  }
}

// put(i, j, sum) for every element of op(a) [m,k] @ op(b) [k,n], rows in parallel; trans_a: a is [k,m], trans_b: b is
// [n,k].
template <class T, class Put>
void reference_product(int64_t m, int64_t n, int64_t k, const T* a, bool trans_a, const T* b, bool trans_b, Put&& put) {
  constexpr int64_t kColumns = 32;
  parallel_for(m, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t j0 = 0; j0 < n; j0 += kColumns) {
        const int64_t columns = std::min(kColumns, n - j0);
        double sum[kColumns] = {};
        if (columns == kColumns && !trans_b) {  // sums in registers: large samples in seconds, not minutes
          add_products(m, n, k, a, trans_a, b, false, i, j0, std::integral_constant<int64_t, kColumns>{}, sum);
        } else {
          add_products(m, n, k, a, trans_a, b, trans_b, i, j0, columns, sum);
        }
        for (int64_t j = 0; j < columns; ++j) put(i, j0 + j, sum[j]);
      }
  });
}

}  // namespace winnow::detail
