#include "core/cpu/attention.h"

#include "core/cpu/sgemm.h"

namespace winnow::cpu {

const AttentionKernels& attention_kernels() {
  static const bool avx512 = has_isa(Isa::Avx512);
  return *(avx512 ? attention_kernels_avx512() : attention_kernels_avx2());
}

}  // namespace winnow::cpu
