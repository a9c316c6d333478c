// Exponentials of long rows: what a softmax over a vocabulary spends its time on. One form per instruction set.
#pragma once
#include <cstdint>

namespace winnow::cpu {

struct ExpRowKernels {
  float (*largest)(int64_t n, const float* x);  // n >= 1; of NaN elements it may tell or not
  // e[i] = exp(x[i] - shift), 0 below exp(-87.3); returns their sum. e may be x, or null: only the sum is wanted. NaN
  // reaches the sum. The order of the additions depends on n only.
  double (*exp_sum)(int64_t n, const float* x, float shift, float* e);
};
const ExpRowKernels* exp_row_kernels_avx2();
const ExpRowKernels* exp_row_kernels_avx512();
const ExpRowKernels& exp_row_kernels();  // the widest that this CPU runs

}  // namespace winnow::cpu
