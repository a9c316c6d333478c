// What cuBLASLt has no exact epilogue for, as one pass over its result: activations, and the masks of the backward
// pass.
#pragma once
#include "core/cuda/bf16.h"
#include "core/cuda/kernel.h"
#include "ops/detail/matmul_node.h"
#include "ops/pointwise.def.h"

namespace winnow::detail {

// The normal distribution function for results in bf16: absolutely exact to f32, not in the lower tail, in half of the
// instructions of math::normal_cdf, which would take longer than the memory.
struct LowGelu {
  __device__ static float cdf(float x) { return fmaf(0.5f, erff(0.707106781f * x), 0.5f); }
  __device__ static float f(float x) { return x * cdf(x); }
  __device__ static float gradient(float dy, float x) {
    return dy * fmaf(x * 0.398942280f, expf(-0.5f * x * x), cdf(x));
  }
};

template <class Gelu>
struct Finish {
  cpu::Act act, mask_act;
  __device__ float operator()(float x) const {
    switch (act) {
      case cpu::Act::Relu: return pointwise::Relu::f(x);
      case cpu::Act::Gelu: return Gelu::f(x);
      case cpu::Act::GeluTanh: return pointwise::GeluTanh::f(x);
      case cpu::Act::Sigmoid: return pointwise::Sigmoid::f(x);
      case cpu::Act::Tanh: return pointwise::Tanh::f(x);
      default: return x;
    }
  }
  __device__ float operator()(float x, float mask) const {
    const float y = (*this)(x);
    switch (mask_act) {
      case cpu::Act::Relu: return pointwise::Relu::gradient(y, mask);
      case cpu::Act::Gelu: return Gelu::gradient(y, mask);
      case cpu::Act::GeluTanh: return pointwise::GeluTanh::gradient(y, mask);
      default: return y;
    }
  }
};
template <class Y>
using FinishOf = Finish<std::conditional_t<std::is_same_v<Y, bf16>, LowGelu, pointwise::Gelu>>;

inline constexpr int kFinishThreads = 256;
template <class... T>
inline constexpr int kFinishWidth = ((sizeof(T) == sizeof(float)) && ...) ? 4 : 8;  // 16 bytes of the narrowest

// y = act(sum), times the derivative at mask where there is one; sum may be y. Bound by memory.
template <class Sum, class Mask, class Y>
__global__ void __launch_bounds__(kFinishThreads)
    finish(int64_t n, bool aligned, const Sum* sum, const Mask* mask, FinishOf<Y> f, Y* y) {
  constexpr int kWidth = kFinishWidth<Sum, Mask, Y>;
  const int64_t first = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, step = int64_t{gridDim.x} * blockDim.x;
  const int64_t vectors = aligned ? n / kWidth : 0;
  for (int64_t v = first; v < vectors; v += step) {
    const int64_t at = v * kWidth;
    cuda::Vector<float, kWidth> x = cuda::load_floats<kWidth>(sum + at);
    if (mask != nullptr) {
      const auto m = cuda::load_floats<kWidth>(mask + at);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) x.v[j] = f(x.v[j], m.v[j]);
    } else {
#pragma unroll
      for (int j = 0; j < kWidth; ++j) x.v[j] = f(x.v[j]);
    }
    cuda::store_floats(y + at, x);
  }
  for (int64_t i = vectors * kWidth + first; i < n; i += step) {
    const float x = cuda::to_float(sum[i]);
    y[i] = cuda::from_float<Y>(mask == nullptr ? f(x) : f(x, cuda::to_float(mask[i])));
  }
}

// sum = bias + residual, each where there is one: the product of no columns.
template <class Sum>
__global__ void __launch_bounds__(kFinishThreads)
    fill_sums(int64_t elements, int64_t n, const float* bias, const float* residual, Sum* sum) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < elements; i += step)
    sum[i] = cuda::from_float<Sum>((bias == nullptr ? 0 : bias[i % n]) + (residual == nullptr ? 0 : residual[i]));
}

__global__ void __launch_bounds__(kFinishThreads) round_bias(int64_t n, const float* bias, bf16* rounded) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) rounded[i] = cuda::from_float<bf16>(bias[i]);
}

}  // namespace winnow::detail
