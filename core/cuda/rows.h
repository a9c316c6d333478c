// Kernels with one warp (or a part of one) or one block for each row of a matrix [rows, n]: the row is read once and
// kept in registers where it fits, else read again from memory.
//
//   template <class L> __global__ void kernel(unsigned lanes, int64_t rows, unsigned packs, ...) {
//     each_row<L>(lanes, rows, packs, [&](const Row<L>& row) {     // all threads, also of rows that are not there
//       RowValues<L> x;
//       x.load(row, data + row.index * n);
//       float sum = 0;
//       row.each([&](unsigned j, unsigned k) { sum += total(x.at(j, k)); });
//       sum = row.reduce(sum, Sum());
//       row.each([&](unsigned j, unsigned k) { row.store(y + row.index * n, j, map(f, x.at(j, k))); });
//     });
//   }
//   with_row_layout(n, [&]<class L>(RowLaunch l) {
//     run(c, kernel<L>, l.blocks<L>(rows), l.threads, 0, l.lanes, rows, l.packs, ...);
//   });
#pragma once
#include <cstdint>
#include <type_traits>

#include "core/cuda/bf16.h"
#include "core/cuda/cuda.h"
#include "core/cuda/reduce.h"
#include "core/cuda/vectors.h"

namespace winnow::cuda {

// Pack: float4 where n is a multiple of 4, else float. A thread keeps kPacks of a row; 0: none, rows of any length.
template <class P, int kCount, bool kWhole, unsigned kMost>
struct RowLayout {
  using Pack = P;
  static constexpr int kPacks = kCount, kWidth = sizeof(P) / sizeof(float);
  static constexpr bool kBlock = kWhole;  // a row has the block, else `lanes` threads of a warp
  static constexpr unsigned kMostThreads = kMost;
};

// f(element, its place in the row) for the pack that begins at element `first`.
template <class F, class P>
__device__ P map_places(F f, unsigned first, P a) {
  if constexpr (std::is_same_v<P, float>)
    return f(a, first);
  else
    return make_float4(f(a.x, first), f(a.y, first + 1), f(a.z, first + 2), f(a.w, first + 3));
}
__device__ inline float total(float v) { return v; }
__device__ inline float total(float4 v) { return (v.x + v.y) + (v.z + v.w); }
__device__ inline float largest(float v) { return v; }
__device__ inline float largest(float4 v) {
  const Largest most;
  return most(most(v.x, v.y), most(v.z, v.w));
}

template <class L>
struct Row {
  using Pack = typename L::Pack;
  int64_t index;
  unsigned packs;  // 0 in threads that have no row
  unsigned lanes;  // threads of a row
  unsigned lane;
  double* shared;

  __device__ bool first() const { return packs > 0 && lane == 0; }
  // f(pack of the row, pack of the thread)
  template <class F>
  __device__ void each(F f) const {
    if constexpr (L::kPacks > 0) {
#pragma unroll
      for (unsigned k = 0; k < L::kPacks; ++k)
        if (const unsigned j = lane + k * lanes; j < packs) f(j, k);
    } else {
      for (unsigned j = lane; j < packs; j += lanes) f(j, 0u);
    }
  }
  template <class T, class F>
  __device__ T reduce(T value, F f) const {
    reduce_each(f, value);
    return value;
  }
  // Each value by itself; together they cost no more barriers than one.
  template <class F, class T, class... V>
  __device__ void reduce_each(F f, T& value, V&... more) const {
    for (unsigned distance = (L::kBlock ? 32 : lanes) / 2; distance > 0; distance /= 2) {
      value = f(value, __shfl_xor_sync(kAllLanes, value, static_cast<int>(distance)));
      ((more = f(more, __shfl_xor_sync(kAllLanes, more, static_cast<int>(distance)))), ...);
    }
    if constexpr (L::kBlock) {
      static_assert(sizeof...(V) < 2 && (std::is_same_v<T, V> && ...));
      T *const parts = reinterpret_cast<T*>(shared), *part = parts + threadIdx.x / 32;
      if (threadIdx.x % 32 == 0) {
        *part = value;
        ((*(part += 32) = more), ...);
      }
      __syncthreads();
      part = parts;
      of_warps(f, part, value);
      (of_warps(f, part += 32, more), ...);
      __syncthreads();
    }
  }
  __device__ Pack load(const float* row, unsigned j) const { return reinterpret_cast<const Pack*>(row)[j]; }
  // Of memory that the kernel does not write: no store holds these loads back.
  __device__ Pack constant(const float* row, unsigned j) const { return __ldg(reinterpret_cast<const Pack*>(row) + j); }
  __device__ void store(float* row, unsigned j, Pack v) const { reinterpret_cast<Pack*>(row)[j] = v; }
  __device__ void store(bf16* row, unsigned j, Pack v) const {
    store_floats(row + j * L::kWidth, reinterpret_cast<const Vector<float, L::kWidth>&>(v));
  }

 private:
  template <class F, class T>
  __device__ void of_warps(F f, const T* part, T& value) const {
    value = part[0];
    for (unsigned i = 1; i < blockDim.x / 32; ++i) value = f(value, part[i]);
  }
};

// A row in registers, or where it lies: then what the kernel writes over it must come after its last look at it.
template <class L>
struct RowValues {
  using Pack = typename L::Pack;
  Pack value[L::kPacks > 0 ? L::kPacks : 1] = {};
  const float* data = nullptr;

  __device__ void load(const Row<L>& row, const float* from) {
    data = from;
    if constexpr (L::kPacks > 0) row.each([&](unsigned j, unsigned k) { value[k] = row.load(from, j); });
  }
  __device__ Pack at(unsigned j, unsigned k) const {
    if constexpr (L::kPacks > 0)
      return value[k];
    else
      return reinterpret_cast<const Pack*>(data)[j];
  }
};

template <class L, class Body>
__device__ void each_row(unsigned lanes, int64_t rows, unsigned packs, Body body) {
  if constexpr (L::kBlock) {
    WN_SHARED(double, parts, [64]);
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x)
      body(Row<L>{row, packs, blockDim.x, threadIdx.x, &parts[0]});
  } else {
    const unsigned per_warp = 32 / lanes, in_warp = threadIdx.x % 32 / lanes, lane = threadIdx.x % lanes;
    const int64_t step = int64_t{gridDim.x} * (blockDim.x / 32) * per_warp;
    for (int64_t first = (int64_t{blockIdx.x} * (blockDim.x / 32) + threadIdx.x / 32) * per_warp; first < rows;
         first += step)
      body(Row<L>{first + in_warp, first + in_warp < rows ? packs : 0, lanes, lane, nullptr});
  }
}

struct RowLaunch {
  unsigned lanes, threads, packs;
  template <class L>
  dim3 blocks(int64_t rows, int64_t most = 1 << 20) const {
    const int64_t per_block = L::kBlock ? 1 : threads / lanes, wanted = (rows + per_block - 1) / per_block;
    return dim3(static_cast<unsigned>(wanted < 1 ? 1 : wanted < most ? wanted : most));
  }
};

namespace detail {
template <class P, unsigned kMost, class F>
void with_block_layout(int64_t packs, F f) {
  const auto count = static_cast<unsigned>(packs);
  unsigned threads = 64;
  while (threads < kMost && threads * 4 < packs) threads += 32;
  if (packs <= 4 * kMost)
    f.template operator()<RowLayout<P, 4, true, kMost>>(RowLaunch{threads, threads, count});
  else
    f.template operator()<RowLayout<P, 0, true, 1024>>(RowLaunch{1024, 1024, count});
}
}  // namespace detail

// f<Layout>(RowLaunch) for rows of n >= 1 elements.
template <class F>
void with_row_layout(int64_t n, F f) {
  const auto choose = [&]<class P>(int64_t packs) {
    constexpr int kWide = sizeof(P) > sizeof(float) ? 8 : 4;
    const auto count = static_cast<unsigned>(packs);
    unsigned lanes = 1;
    while (lanes < 32 && lanes < packs) lanes *= 2;
    if (packs <= 32)
      f.template operator()<RowLayout<P, 1, false, 256>>(RowLaunch{lanes, 256, count});
    else if (packs <= 128)
      f.template operator()<RowLayout<P, 4, false, 256>>(RowLaunch{32, 256, count});
    else if (packs <= 32 * kWide)
      f.template operator()<RowLayout<P, kWide, false, 256>>(RowLaunch{32, 256, count});
    else
      detail::with_block_layout<P, 1024>(packs, f);
  };
  if (n % 4 == 0)
    choose.template operator()<float4>(n / 4);
  else
    choose.template operator()<float>(n);
}

// The same for kernels whose threads keep two rows and sums over the rows that they meet: fewer elements a thread, and
// for rows of up to 1024 elements a warp or, where there are rows for all threads of an H100, a part of one, so that
// several rows are under way; few large blocks, as each leaves its sums.
constexpr int64_t kSummingBlocks = 132;
template <class F>
void with_summing_row_layout(int64_t rows, int64_t n, F f) {
  const auto choose = [&]<class P, int kPacks, unsigned kMost>(int64_t packs) {
    unsigned lanes = 1, threads = kMost;
    while (lanes < 32 &&
           (lanes * kPacks < packs || (lanes < packs && (lanes < 8 || rows * lanes < kSummingBlocks * kMost))))
      lanes *= 2;
    while (threads > 128 && rows * lanes < kSummingBlocks * threads) threads -= 128;
    f.template operator()<RowLayout<P, kPacks, false, kMost>>(RowLaunch{lanes, threads, static_cast<unsigned>(packs)});
  };
  const int64_t packs = n % 4 == 0 ? n / 4 : n;
  if (n % 4 != 0)
    return n <= 128 ? choose.template operator()<float, 4, 512>(packs)
                    : detail::with_block_layout<float, 256>(packs, f);
  if (packs > 256) return detail::with_block_layout<float4, 256>(packs, f);
  if (packs > 192) return choose.template operator()<float4, 8, 256>(packs);
  if (packs > 128) return choose.template operator()<float4, 6, 384>(packs);
  if (packs > 64 && packs <= 96) return choose.template operator()<float4, 3, 512>(packs);
  choose.template operator()<float4, 4, 512>(packs);
}

}  // namespace winnow::cuda
