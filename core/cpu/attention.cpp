#include "core/cpu/attention.h"

#include "core/cpu/sgemm.h"

namespace winnow::cpu {

const AttentionKernels& attention_kernels() {
  static const bool avx512 = has_isa(Isa::Avx512);
  return *(avx512 ? attention_kernels_avx512() : attention_kernels_avx2());
}

void prefetch_next_head(const AttentionItem& it) {
  constexpr int64_t kLongest = 256;  // more would leave L2 before it is used
  if (it.length > kLongest) return;
  const auto fetch = [&](const float* p, int64_t t, int64_t stride) {
    for (int64_t d = 0; p != nullptr && d < it.dim; d += 16) __builtin_prefetch(p + t * stride + it.dim + d, 0, 2);
  };
  for (int64_t t = 0; t < it.length; ++t) {
    for (int64_t part = 0; part < 3; ++part) {
      fetch(it.q + part * it.hidden, t, it.row);
      if (it.dq != nullptr) fetch(it.dq + part * it.hidden, t, it.row);
    }
    fetch(it.out, t, it.hidden);
    fetch(it.dout, t, it.hidden);
  }
}

}  // namespace winnow::cpu
