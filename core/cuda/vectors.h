// Loops over elements of float operands for kernels: four at a time where every operand starts at 16 bytes, the rest
// one by one. Launch with vector_grid(); any grid is right.
//
//   each_vector(n, [&](auto at) { at.store(y, map(f, at.load(x))); }, x, y);   // the operands that are checked
#pragma once
#include <cstdint>
#include <type_traits>

#include "core/cuda/cuda.h"

namespace winnow::cuda {

inline dim3 vector_grid(int64_t n, int64_t threads) {
  const int64_t blocks = (n / 4 + threads) / threads, most = 4096;
  return dim3(static_cast<unsigned>(blocks < most ? blocks : most));
}

// f of each element: of float or float4 operands.
template <class F, class P, class... More>
__device__ P map(F f, P a, More... more) {
  if constexpr (std::is_same_v<P, float>)
    return f(a, more...);
  else
    return make_float4(f(a.x, more.x...), f(a.y, more.y...), f(a.z, more.z...), f(a.w, more.w...));
}

// Elements 4 i .. 4 i + 3.
struct Four {
  int64_t i;
  __device__ float4 load(const float* p) const { return reinterpret_cast<const float4*>(p)[i]; }
  __device__ void store(float* p, float4 v) const { reinterpret_cast<float4*>(p)[i] = v; }
};
// Element i.
struct One {
  int64_t i;
  __device__ float load(const float* p) const { return p[i]; }
  __device__ void store(float* p, float v) const { p[i] = v; }
};

template <class F, class... P>
__device__ void each_vector(int64_t n, F f, const P*... operands) {
  const int64_t first = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, step = int64_t{gridDim.x} * blockDim.x;
  const bool aligned = ((reinterpret_cast<uintptr_t>(operands) | ...) & 15) == 0;
  const int64_t fours = aligned ? n / 4 : 0;
  for (int64_t i = first; i < fours; i += step) f(Four{i});
  for (int64_t i = 4 * fours + first; i < n; i += step) f(One{i});
}

}  // namespace winnow::cuda
