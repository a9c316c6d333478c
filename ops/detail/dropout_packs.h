// Dropout inside kernels, for one or four elements at a time (kernels only: ops/*.cu).
#pragma once
#include "core/cuda/cuda.h"
#include "ops/detail/dropout_mask.h"

namespace winnow::detail {

// A RowDropout as a kernel's parameter.
struct PackDropout {
  Philox philox;
  const int64_t* step = nullptr;  // in the device's memory; null: everything is kept
  int32_t threshold = 0;
  float scale = 1;
  PackDropout() = default;
  PackDropout(const RowDropout& d, const Call& c)
      : philox(d.philox),
        step(d.threshold > 0 ? c.in<int64_t>(d.step) : nullptr),
        threshold(d.threshold),
        scale(static_cast<float>(d.scale)) {}

  __device__ float keep(uint32_t bits, float x) const {
    return static_cast<int32_t>(bits & 0xffffu) < threshold ? 0.0f : x * scale;
  }
  __device__ float4 keep(DropoutBits bits, float4 x) const {
    return make_float4(keep(bits.first, x.x), keep(bits.first >> 16, x.y), keep(bits.second, x.z),
                       keep(bits.second >> 16, x.w));
  }
  // x from element i on; for four i is a multiple of 4.
  __device__ float operator()(int64_t i, float x) const {
    return step == nullptr ? x : keep(dropout_bits(philox, static_cast<uint64_t>(*step), i), x);
  }
  __device__ float4 operator()(int64_t i, float4 x) const {
    return step == nullptr ? x : keep(dropout_bits_of_four(philox, static_cast<uint64_t>(*step), i), x);
  }
};

}  // namespace winnow::detail
