// Sums over the rows of a matrix [rows, n] in two passes of fixed order: ranges of rows side by side, then the ranges.
//
//   prepare: p.scratch(cuda::column_sums_bytes(rows, n));
//   run:     cuda::column_sums(call, rows, n, out, scratch, [=] __device__(row, column) { return the term; });
#pragma once
#include "core/cuda/kernel.h"

namespace winnow::cuda {

constexpr int64_t kRowsOfRange = 64, kMostRanges = 256;

struct RowRanges {
  int64_t rows = 0, count = 0;  // rows of each range, ranges
};
inline RowRanges row_ranges(int64_t rows) {
  const int64_t wanted = (rows + kRowsOfRange - 1) / kRowsOfRange, count = wanted < kMostRanges ? wanted : kMostRanges;
  return count == 0 ? RowRanges{} : RowRanges{(rows + count - 1) / count, count};
}
inline size_t column_sums_bytes(int64_t rows, int64_t n) {
  return static_cast<size_t>(row_ranges(rows).count * n) * sizeof(float);
}

// parts [ranges, n]: block (column tile, range).
template <class Term>
__global__ void __launch_bounds__(256)
    sum_row_ranges(int64_t rows, int64_t rows_of_range, int64_t n, Term term, float* parts) {
  WN_SHARED(float, tile, [8][32]);
  const unsigned lane = threadIdx.x % 32, row_of_tile = threadIdx.x / 32;
  const int64_t column = int64_t{blockIdx.x} * 32 + lane, first = int64_t{blockIdx.y} * rows_of_range;
  const int64_t last = first + rows_of_range < rows ? first + rows_of_range : rows;
  float sum = 0;
  if (column < n)
    for (int64_t row = first + row_of_tile; row < last; row += 8) sum += term(row, column);
  tile[row_of_tile][lane] = sum;
  __syncthreads();
  if (row_of_tile != 0 || column >= n) return;
  for (unsigned i = 1; i < 8; ++i) sum += tile[i][lane];
  parts[int64_t{blockIdx.y} * n + column] = sum;
}
// Columns below n go to out, the other `columns` - n to more: [n] and [columns - n] are the sums of parts [ranges,
// columns].
template <class Unused = void>
__global__ void __launch_bounds__(1024)
    sum_parts(int64_t ranges, int64_t columns, int64_t n, const float* parts, float* out, float* more) {
  WN_SHARED(float, tile, [32][32]);
  const unsigned lane = threadIdx.x % 32, range_of_tile = threadIdx.x / 32;
  const int64_t column = int64_t{blockIdx.x} * 32 + lane;
  float sum = 0;
  if (column < columns)
    for (int64_t range = range_of_tile; range < ranges; range += 32) sum += parts[range * columns + column];
  tile[range_of_tile][lane] = sum;
  __syncthreads();
  if (range_of_tile != 0 || column >= columns) return;
  for (unsigned i = 1; i < 32; ++i) sum += tile[i][lane];
  (column < n ? out[column] : more[column - n]) = sum;
}
inline void add_parts(const Call& c, int64_t ranges, int64_t columns, int64_t n, const float* parts, float* out,
                      float* more) {
  run(c, sum_parts<>, dim3(static_cast<unsigned>((columns + 31) / 32)), 1024, 0, ranges, columns, n, parts, out, more);
}

// term: a trivially copyable struct with __device__ float operator()(int64_t row, int64_t column) const.
template <class Term>
void column_sums(const Call& c, int64_t rows, int64_t n, float* out, float* scratch, Term term) {
  if (n == 0) return;
  const RowRanges ranges = row_ranges(rows);
  if (ranges.count > 0)
    run(c, sum_row_ranges<Term>, dim3(static_cast<unsigned>((n + 31) / 32), static_cast<unsigned>(ranges.count)), 256,
        0, rows, ranges.rows, n, term, scratch);
  add_parts(c, ranges.count, n, n, scratch, out, nullptr);
}

}  // namespace winnow::cuda
