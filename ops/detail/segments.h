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

// What the inputs say is checked where it is used: a bag outside dy is skipped, a bad start gives an empty segment.
template <class T>
struct SegmentData {
  const int64_t* rows;
  const int32_t* starts;
  int64_t positions, count;
  const int32_t* bag;
  const T* coef;
  const T* dy;
  int64_t bags, dim;

  SegmentData(const Call& c, int first)
      : rows(c.in<int64_t>(first)),
        starts(c.in<int32_t>(first + 1)),
        positions(c.in_numel(first)),
        count(std::clamp<int64_t>(*c.in<int64_t>(first + 2), 0, positions)),
        bag(c.in<int32_t>(first + 3)),
        coef(c.in<T>(first + 4)),
        dy(c.in<T>(first + 5)),
        bags(c.in_spec(first + 5).shape[0]),
        dim(c.in_spec(first + 5).shape[1]) {}

  int64_t start(int64_t k) const { return std::clamp<int64_t>(starts[k], 0, positions); }
  const T* gradient(int64_t i) const {  // row of dy of occurrence i, or null
    const int64_t b = bag[i];
    return static_cast<uint64_t>(b) < static_cast<uint64_t>(bags) ? dy + b * dim : nullptr;
  }

  // acc = gradient of unique row k, in the order of its occurrences. A: type of the sums.
  template <int D, class A>
  void sum(int64_t k, A* __restrict acc) const {
    const int64_t d = D > 0 ? D : dim, end = start(k + 1);
#pragma omp simd
    for (int64_t j = 0; j < d; ++j) acc[j] = 0;
    for (int64_t i = start(k); i < end; ++i) {
      const T* __restrict g = gradient(i);
      if (g == nullptr) continue;
      const A w = static_cast<A>(coef[i]);
#pragma omp simd
      for (int64_t j = 0; j < d; ++j) acc[j] += w * static_cast<A>(g[j]);
    }
  }
};

// Brings rows of dy into the cache a fixed number of occurrences before segments [begin, end) read them.
template <class T>
class DyPrefetcher {
 public:
  DyPrefetcher(const SegmentData<T>& s, int64_t begin, int64_t end) : s_(s), at_(s.start(begin)), last_(s.start(end)) {}
  template <int D>
  void advance(int64_t k) {
    const int64_t d = D > 0 ? D : s_.dim;
    for (const int64_t stop = std::min(s_.start(k + 1) + rows::kAhead, last_); at_ < stop; ++at_)
      if (const T* g = s_.gradient(at_)) rows::prefetch(g, static_cast<size_t>(d) * sizeof(T));
  }

 private:
  const SegmentData<T>& s_;
  int64_t at_, last_;
};

// f(k_begin, k_end) over ranges of unique rows of about equal work: ids are skewed, so a row costs its occurrences
// plus a constant for the table's own cache lines.
template <class T, class F>
void parallel_segments(const SegmentData<T>& s, F&& f) {
  constexpr int64_t kRow = 4, kGrain = 2048;
  const auto work = [&](int64_t k) { return s.start(k) + kRow * k; };
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
