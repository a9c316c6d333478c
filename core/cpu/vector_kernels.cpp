#include "core/cpu/vector_kernels.h"

#include "core/cpu/sgemm.h"

namespace winnow::cpu {

const VectorKernels& vector_kernels() {
  static const VectorKernels& best = !has_isa(Isa::Avx512)                  ? *vector_kernels_avx2()
                                     : __builtin_cpu_supports("avx512vnni") ? *vector_kernels_vnni()
                                                                            : *vector_kernels_avx512();
  return best;
}

}  // namespace winnow::cpu
