// Rows of bytes copied on a CUDA device, in units of 16 bytes where addresses and strides allow. Bound by memory.
#pragma once
#include <algorithm>

#include "core/cuda/kernel.h"

namespace winnow::detail {

// `width` bytes from from + r from_stride to to + r to_stride for each row r.
struct RowCopy {
  const char* from;
  char* to;
  int64_t from_stride, to_stride, width;
};
struct RowCopies {
  static constexpr int kMost = 64;
  RowCopy copy[kMost];
  int unit[kMost];  // bytes moved at once
};

constexpr int64_t kMostUnits = (int64_t{1} << 32) - (int64_t{1} << 25);  // a grid's step beyond the end must not wrap

// The largest of 16, 8, 4, 2, 1 that divides all of these.
template <class... V>
int copy_unit(V... values) {
  const uint64_t bits = (static_cast<uint64_t>(values) | ... | 16);
  return static_cast<int>(bits & -bits);
}
inline uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

// Calls f.template operator()<U>() with a type of `unit` bytes.
template <class F>
void visit_unit(int unit, F&& f) {
  switch (unit) {
    case 16: return f.template operator()<uint4>();
    case 8: return f.template operator()<uint2>();
    case 4: return f.template operator()<uint32_t>();
    case 2: return f.template operator()<uint16_t>();
    default: return f.template operator()<uint8_t>();
  }
}

template <class U, class Index>
__device__ void copy_units(const RowCopy& c, Index rows) {
  const Index units = static_cast<Index>(c.width / int64_t{sizeof(U)}), all = rows * units;
  const Index step = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < all; i += step) {
    const Index row = i / units, column = i - row * units;
    reinterpret_cast<U*>(c.to + row * c.to_stride)[column] =
        reinterpret_cast<const U*>(c.from + row * c.from_stride)[column];
  }
}
template <class Index>
__global__ void __launch_bounds__(256) copy_rows(const __grid_constant__ RowCopies list, Index rows) {
  const RowCopy& c = list.copy[blockIdx.y];
  switch (list.unit[blockIdx.y]) {
    case 16: return copy_units<uint4>(c, rows);
    case 8: return copy_units<uint2>(c, rows);
    case 4: return copy_units<uint32_t>(c, rows);
    case 2: return copy_units<uint16_t>(c, rows);
    default: return copy_units<uint8_t>(c, rows);
  }
}

// copy(k): the k-th of `count` copies of `rows` rows.
template <class F>
void copy_all(const Call& c, int64_t rows, int count, F&& copy) {
  RowCopies list;
  int used = 0;
  int64_t most = 0;
  const auto launch = [&] {
    if (used == 0 || most == 0) return;
    dim3 blocks = cuda::grid(most, 256);
    blocks.y = static_cast<unsigned>(used);
    if (most < kMostUnits)
      cuda::run(c, copy_rows<uint32_t>, blocks, 256, 0, list, static_cast<uint32_t>(rows));
    else
      cuda::run(c, copy_rows<int64_t>, blocks, 256, 0, list, rows);
  };
  for (int k = 0; k < count; ++k) {
    const RowCopy piece = copy(k);
    if (piece.width == 0) continue;
    list.copy[used] = piece;
    list.unit[used] = copy_unit(address(piece.from), address(piece.to), piece.width, rows > 1 ? piece.from_stride : 0,
                                rows > 1 ? piece.to_stride : 0);
    most = std::max(most, rows * (piece.width / list.unit[used]));
    if (++used < RowCopies::kMost) continue;
    launch();
    used = 0, most = 0;
  }
  launch();
}

}  // namespace winnow::detail
