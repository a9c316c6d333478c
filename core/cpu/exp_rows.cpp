#include "core/cpu/exp_rows.h"

#include "core/cpu/sgemm.h"

namespace winnow::cpu {

const ExpRowKernels& exp_row_kernels() {
  static const bool avx512 = has_isa(Isa::Avx512);
  return *(avx512 ? exp_row_kernels_avx512() : exp_row_kernels_avx2());
}

}  // namespace winnow::cpu
