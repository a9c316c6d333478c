// What one instruction set provides to core/cpu/int8_matmul.cpp.
#pragma once
#include <cstddef>
#include <cstdint>

namespace winnow::cpu {

// Quantised rows lie one after another, each row_bytes(k) long and padded to whole groups of four k.
struct Int8Rows {
  const char* q;
  std::size_t row_bytes;
  const float *low, *step;  // by row
};

struct Int8Kernels {
  int rows, wide_rows;  // most of a tile with bits 8 and with bits 15
  std::size_t (*row_bytes)(std::size_t k, int bits);
  void (*quantise)(const float* a, std::size_t k, int bits, char* q, float* low, float* step);
  // acc[rows][32] = scale[j] (step[i] sum_k q[i,k] code[k,j] + low[i] sum[j]) of one panel of codes; columns: scale at
  // its first column, and `sums` floats further on the sums.
  void (*tile)(int rows, std::size_t k, int bits, const Int8Rows& a, const std::int8_t* panel, const float* columns,
               std::size_t sums, float* acc);
};
const Int8Kernels* int8_kernels_avx2();
const Int8Kernels* int8_kernels_avx512();
const Int8Kernels* int8_kernels_vnni();

}  // namespace winnow::cpu
