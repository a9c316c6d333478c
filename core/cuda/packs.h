// Rows of floats read by groups of lanes: V = 4, 2 or 1 floats a lane at a time, whichever divides the row.
//
//   visit_pack(dim, [&]<int V>() { const RowLanes lanes(dim, V); cuda::run(c, kernel<V>, lanes.grid(rows, 256), ...);
//   });
#pragma once
#include <cstdint>

#include "core/cuda/vector.h"

namespace winnow::cuda {

template <int V>
using Pack = Vector<float, V>;

// Calls f.template operator()<V>().
template <class F>
void visit_pack(int64_t dim, F&& f) {
  if (dim % 4 == 0) return f.template operator()<4>();
  if (dim % 2 == 0) return f.template operator()<2>();
  f.template operator()<1>();
}

// A row of dim floats for 2^bits lanes of a warp; rows that are longer than the lanes' packs are walked in steps.
struct RowLanes {
  int dim;
  unsigned bits = 0;
  RowLanes(int64_t dim_, int pack) : dim(static_cast<int>(dim_)) {
    while (bits < 5 && (int64_t{pack} << bits) < dim_) ++bits;
  }
  unsigned rows_of_warp() const { return 32u >> bits; }
  // Blocks of `threads` with one group of lanes a row.
  dim3 grid(int64_t rows, int64_t threads) const {
    const int64_t rows_of_block = threads >> bits, blocks = (rows + rows_of_block - 1) / rows_of_block;
    return dim3(static_cast<unsigned>(blocks < 1 ? 1 : blocks));
  }
  __device__ int lanes() const { return 1 << bits; }
  __device__ int64_t row() const {  // of this thread's group, counted over the grid
    return static_cast<int64_t>((uint64_t{blockIdx.x} * blockDim.x + threadIdx.x) >> bits);
  }
  __device__ unsigned mask() const {  // of the group within its warp
    const unsigned ones = bits == 5 ? 0xffffffffu : (1u << (1u << bits)) - 1;
    return ones << (threadIdx.x % 32 >> bits << bits);
  }
  __device__ int lane() const { return static_cast<int>(threadIdx.x & ((1u << bits) - 1)); }
};

}  // namespace winnow::cuda
