// y = F::f(in_0, in_1, ..) over operands that are repeated as a BroadcastPlan says, on a CUDA device. Every element of
// y is read and written by one thread, so y may be an operand of its own size. Bound by memory: 16 bytes a thread where
// rows allow, 32-bit index arithmetic below 2^32 elements.
//
//   prepare: p.state<BroadcastPlan<2>>(plan_broadcast<2>(...));
//   run:     broadcast<F>(call, plan, call.out<float>(0), call.in<float>(0), call.in<float>(1));
#pragma once
#include <algorithm>
#include <utility>

#include "core/cuda/kernel.h"
#include "core/cuda/vector.h"
#include "core/math.h"
#include "ops/detail/broadcast_plan.h"

namespace winnow::detail {

// A BroadcastPlan in packs of `pack` elements of a row.
template <int K, class Index>
struct PackedRows {
  Index packs, row_packs;
  int axes;
  unsigned dense;
  Index extent[Shape::kMaxRank], stride[Shape::kMaxRank][K];

  PackedRows(const BroadcastPlan<K>& p, int64_t pack)
      : packs(static_cast<Index>(p.rows * (p.inner / pack))),
        row_packs(static_cast<Index>(p.inner / pack)),
        axes(p.axes),
        dense(p.dense) {
    for (size_t a = 0; a < Shape::kMaxRank; ++a) {
      extent[a] = static_cast<Index>(p.extent[a]);
      for (size_t k = 0; k < K; ++k) stride[a][k] = static_cast<Index>(p.stride[a][k]);
    }
  }
};

template <int N, class T>
__device__ cuda::Vector<T, N> load_operand(const T* row, bool dense) {
  if (dense) return cuda::load_vector<N>(row);
  cuda::Vector<T, N> all;
  const T value = *row;
  for (int j = 0; j < N; ++j) all.v[j] = value;
  return all;
}
template <class F, int N, class Y, class... T>
__device__ void store_result(Y* y, const cuda::Vector<T, N>&... in) {
  cuda::Vector<Y, N> out;
  for (int j = 0; j < N; ++j) out.v[j] = F::f(in.v[j]...);
  cuda::store_vector(y, out);
}

template <class F, int N, class Index, class Y, size_t... I, class... In>
__device__ void broadcast_pack(const PackedRows<sizeof...(In), Index>& p, Index i, std::index_sequence<I...>, Y* y,
                               const In*... in) {
  Index row = p.axes == 0 ? 0 : i / p.row_packs, offset[sizeof...(In)] = {};
  const Index column = (i - row * p.row_packs) * N;
#pragma unroll 1
  for (int a = p.axes - 1; a >= 0; --a) {
    const Index next = a == 0 ? 0 : row / p.extent[a], at = row - next * p.extent[a];
    ((offset[I] += at * p.stride[a][I]), ...);
    row = next;
  }
  ((offset[I] += (p.dense >> I & 1u) != 0 ? column : 0), ...);
  store_result<F, N>(y + int64_t{i} * N, load_operand<N>(in + offset[I], (p.dense >> I & 1u) != 0)...);
}
template <class F, int N, class Index, class Y, class... In>
__global__ void __launch_bounds__(256)
    broadcast_packs(const __grid_constant__ PackedRows<sizeof...(In), Index> p, Y* y, const In*... in) {
  const Index step = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < p.packs; i += step)
    broadcast_pack<F, N, Index>(p, i, std::index_sequence_for<In...>(), y, in...);
}

template <class F, class Y, class... In>
void broadcast(const Call& c, const BroadcastPlan<sizeof...(In)>& plan, Y* y, const In*... in) {
  constexpr int kWide = std::max({sizeof(Y), sizeof(In)...}) == 8 ? 2 : 4, kOperands = sizeof...(In);
  const int64_t n = plan.rows * plan.inner;
  if (n == 0) return;
  const bool small = n < (int64_t{1} << 32) - (int64_t{1} << 25);  // a grid's step beyond the end must not wrap
  const bool packs = plan.inner % kWide == 0 && cuda::is_aligned(y, kWide * sizeof(Y)) &&
                     (cuda::is_aligned(in, kWide * sizeof(In)) && ...);
  if (!small)
    cuda::run(c, broadcast_packs<F, 1, int64_t, Y, In...>, cuda::grid(n, 256), 256, 0,
              PackedRows<kOperands, int64_t>(plan, 1), y, in...);
  else if (packs)
    cuda::run(c, broadcast_packs<F, kWide, uint32_t, Y, In...>, cuda::grid(n / kWide, 256), 256, 0,
              PackedRows<kOperands, uint32_t>(plan, kWide), y, in...);
  else
    cuda::run(c, broadcast_packs<F, 1, uint32_t, Y, In...>, cuda::grid(n, 256), 256, 0,
              PackedRows<kOperands, uint32_t>(plan, 1), y, in...);
}

// Elements as they are.
struct Copied {
  template <class T>
  WN_HD static T f(T x) {
    return x;
  }
};

}  // namespace winnow::detail
