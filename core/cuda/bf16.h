// bf16 in kernels: stored as core/dtype.h has it, computed in float.
#pragma once
#include "core/cuda/vector.h"
#include "core/dtype.h"

namespace winnow::cuda {

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(bf16 x) { return __uint_as_float(unsigned{x.bits} << 16); }
template <class T>
__device__ T from_float(float x) {
  if constexpr (std::is_same_v<T, float>) {
    return x;
  } else {
    bf16 y;
    y.bits = __bfloat16_as_ushort(__float2bfloat16_rn(x));
    return y;
  }
}

// Calls f.operator()<T>() with the type in memory: bf16 where it is `low`, else float.
template <class F>
void visit_stored(bool low, F&& f) {
  low ? f.template operator()<bf16>() : f.template operator()<float>();
}

// N neighbouring elements as floats; p is a multiple of N sizeof(T), or of 16 bytes where that is more.
template <int N, class T>
__device__ Vector<float, N> load_floats(const T* p) {
  constexpr int kPart = N * sizeof(T) > 16 ? 16 / sizeof(T) : N;
  Vector<float, N> x;
#pragma unroll
  for (int j = 0; j < N; j += kPart) {
    const Vector<T, kPart> part = load_vector<kPart>(p + j);
#pragma unroll
    for (int k = 0; k < kPart; ++k) x.v[j + k] = to_float(part.v[k]);
  }
  return x;
}
template <int N, class T>
__device__ void store_floats(T* p, const Vector<float, N>& x) {
  constexpr int kPart = N * sizeof(T) > 16 ? 16 / sizeof(T) : N;
#pragma unroll
  for (int j = 0; j < N; j += kPart) {
    Vector<T, kPart> part;
#pragma unroll
    for (int k = 0; k < kPart; ++k) part.v[k] = from_float<T>(x.v[j + k]);
    store_vector(p + j, part);
  }
}

}  // namespace winnow::cuda
