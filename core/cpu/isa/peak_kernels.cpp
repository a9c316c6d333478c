#include "core/cpu/peak_kernels.h"

#include "core/cpu/isa/sgemm_vector.h"

namespace winnow::cpu {

#define WN_JOIN_(a, b) a##b
#define WN_JOIN(a, b) WN_JOIN_(a, b)

// Twelve chains hide the latency of two FMA units up to 6 cycles deep. volatile: nobody reads the sums.
double WN_JOIN(fma_burst_, WINNOW_ISA)(int steps) {
  constexpr int kChains = 12;
  V sum[kChains];
  unrolled<kChains>([&](auto i) WN_INLINE_LAMBDA { sum[i.v] = set1(0); });
  const V a = set1(1.f), b = set1(1e-9f);
  for (int s = 0; s < steps; ++s)
    unrolled<kChains>([&](auto i) WN_INLINE_LAMBDA {
#if defined(WINNOW_ISA_avx512)
      asm volatile("vfmadd231ps %2, %1, %0" : "+v"(sum[i.v]) : "v"(a), "v"(b));
#else
      asm volatile("vfmadd231ps %2, %1, %0" : "+x"(sum[i.v]) : "x"(a), "x"(b));
#endif
    });
  return 2.0 * W * kChains * steps;
}

}  // namespace winnow::cpu
