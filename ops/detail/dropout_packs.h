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
  __device__ uint64_t step_of() const { return step == nullptr ? 0 : static_cast<uint64_t>(*step); }
  // Bit e: element i + e is kept, of 1 or, i being a multiple of 4, of 4 elements; all where there is no step.
  template <int kCount>
  __device__ uint32_t kept(uint64_t at_step, int64_t i) const {
    constexpr uint32_t kAll = (1u << kCount) - 1;
    const auto stays = [&](uint32_t bits) { return static_cast<int32_t>(bits & 0xffffu) < threshold ? 0u : 1u; };
    if (step == nullptr) return kAll;
    if constexpr (kCount == 1) return stays(dropout_bits(philox, at_step, i));
    const DropoutBits b = dropout_bits_of_four(philox, at_step, i);
    return stays(b.first) | stays(b.first >> 16) << 1 | stays(b.second) << 2 | stays(b.second >> 16) << 3;
  }
  __device__ float if_kept(uint32_t bit, float x) const { return (bit & 1) != 0 ? x * scale : 0.0f; }
  __device__ float4 if_kept(uint32_t bits, float4 x) const {
    return make_float4(if_kept(bits, x.x), if_kept(bits >> 1, x.y), if_kept(bits >> 2, x.z), if_kept(bits >> 3, x.w));
  }
};

}  // namespace winnow::detail
