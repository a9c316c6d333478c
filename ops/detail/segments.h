// Reading the outputs of embedding_segments: inputs `first`.. = unique_rows, starts, count, bag, coef, dy.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/op.h"
#include "core/parallel.h"
#include "ops/detail/rows.h"

namespace winnow {

inline constexpr int kSegmentInputs = 6;
inline constexpr int64_t kMaxRowDim = 4096;  // sums of one row live on the stack

inline void infer_segments(const Infer& in, int first) {
  const int64_t n = in.shape(first).numel();
  in.expect_dtype(first, {DType::I64});
  in.expect_shape(first, {n});
  in.expect_dtype(first + 1, {DType::I32});
  in.expect_shape(first + 1, {n + 1});
  in.expect_dtype(first + 2, {DType::I64});
  in.expect_shape(first + 2, {});
  in.expect_dtype(first + 3, {DType::I32});
  in.expect_shape(first + 3, {n});
  in.expect_dtype(first + 4, {DType::F32, DType::F64});
  in.expect_shape(first + 4, {n});
  in.expect_same_dtype(first + 4, first + 5);
  in.expect_rank(first + 5, 2);
  in.check(in.shape(first + 5)[1] <= kMaxRowDim, "rows of {} elements; at most {} are supported",
           in.shape(first + 5)[1], kMaxRowDim);
}

template <class T>
struct SegmentData {
  const int64_t* rows;
  const int32_t* starts;
  int64_t count;
  const int32_t* bag;
  const T* coef;
  const T* dy;
  int64_t dim;

  SegmentData(const Call& c, int first)
      : rows(c.in<int64_t>(first)),
        starts(c.in<int32_t>(first + 1)),
        count(*c.in<int64_t>(first + 2)),
        bag(c.in<int32_t>(first + 3)),
        coef(c.in<T>(first + 4)),
        dy(c.in<T>(first + 5)),
        dim(c.in_spec(first + 5).shape[1]) {}

  // acc = gradient of unique row k, in the order of its occurrences. A: type of the sums.
  template <int D, class A>
  void sum(int64_t k, A* __restrict acc) const {
    const int64_t d = D > 0 ? D : dim, begin = starts[k], end = starts[k + 1];
    {
      const T* __restrict g = dy + bag[begin] * d;
      const A w = static_cast<A>(coef[begin]);
      for (int64_t j = 0; j < d; ++j) acc[j] = w * static_cast<A>(g[j]);
    }
    for (int64_t i = begin + 1; i < end; ++i) {
      const T* __restrict g = dy + bag[i] * d;
      const A w = static_cast<A>(coef[i]);
      for (int64_t j = 0; j < d; ++j) acc[j] += w * static_cast<A>(g[j]);
    }
  }
  void prefetch_dy(int64_t begin, int64_t end) const {
    for (int64_t i = begin; i < end; ++i) rows::prefetch(dy + bag[i] * dim, static_cast<size_t>(dim) * sizeof(T));
  }
};

// f(k_begin, k_end) over ranges of unique rows of about equal work: ids are skewed, so a row costs its occurrences
// plus a constant for the table's own cache lines.
template <class T, class F>
void parallel_segments(const SegmentData<T>& s, F&& f) {
  constexpr int64_t kRow = 4, kGrain = 2048;
  const auto work = [&](int64_t k) { return s.starts[k] + kRow * k; };
  const auto row_at = [&](int64_t w) {  // the first k with work(k) >= w
    int64_t low = 0, high = s.count;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (work(middle) < w)
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  };
  parallel_for(work(s.count), kGrain, [&](int64_t begin, int64_t end) { f(row_at(begin), row_at(end)); });
}

}  // namespace winnow
