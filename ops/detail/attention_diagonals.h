// The gradient of attention's bias: score gradients summed along the diagonals of a tile (kernels only).
#pragma once
#include "core/cuda/cuda.h"

namespace winnow::detail {

// Adds element(i, j) of kRows queries and kColumns keys to the place of their distance in part [2 reach + 1], by all
// threads of a block, in one order; first_distance: of key 0 from query 0. diagonals: shared memory, one float a
// diagonal.
template <int kRows, int kColumns, int kThreads, class F>
__device__ void add_diagonals(int reach, int first_distance, F element, float* diagonals, float* part) {
  for (int g = static_cast<int>(threadIdx.x); g < kRows + kColumns - 1; g += kThreads) {
    const int distance = g - (kRows - 1);  // column minus row
    float sum = 0;
    for (int i = distance < 0 ? -distance : 0; i < kRows && i + distance < kColumns; ++i)
      sum += element(i, i + distance);
    diagonals[g] = sum;
  }
  __syncthreads();
  const int lowest = first_distance - (kRows - 1), highest = first_distance + kColumns - 1;
  const auto place = [&](int distance) {
    return (distance < -reach ? -reach : distance > reach ? reach : distance) + reach;
  };
  for (int p = place(lowest) + static_cast<int>(threadIdx.x); p <= place(highest); p += kThreads) {
    const int from = p == 0 ? lowest : max(lowest, p - reach), to = p == 2 * reach ? highest : min(highest, p - reach);
    float sum = 0;
    for (int distance = from; distance <= to; ++distance) sum += diagonals[distance - lowest];
    part[p] += sum;
  }
}

}  // namespace winnow::detail
