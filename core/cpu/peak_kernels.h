// Bursts of fused multiply-adds, one per instruction set (core/cpu/isa/peak_kernels.cpp).
#pragma once

namespace winnow::cpu {

double fma_burst_avx2(int steps);  // runs `steps` rounds; returns the floating-point operations done
double fma_burst_avx512(int steps);

}  // namespace winnow::cpu
