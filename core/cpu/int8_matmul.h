// Products of f32 rows with weights kept as bytes, for inference: a quarter of the weights' memory, and with VNNI two
// (bits 15) to four (bits 8) times the multiplications a cycle.
//
//   weights, once, by column:  W[k,j] ~ scale[j] code[k,j],   scale[j] = max_k |W[k,j]| / 127,  code in -127..127
//   rows, at each call:        A[i,k] ~ low[i] + step[i] q[i,k],  low = min_k A[i,k], step = (max_k - min_k) / levels,
//                              q in 0..levels = 2^bits - 1
//   C[i,j] = epilogue( scale[j] (step[i] sum_k q[i,k] code[k,j] + low[i] sum_k code[k,j]) )
//
// One range a row suits what one activation gave (bits 8). Rows of unlike features, as the input of a click model, lose
// their small columns to their large ones then: bits 15. The sums over k are exact integers. A row's bits depend on it
// alone: not on the other rows, their number or the number of threads; on the instruction set only in the last places.
// A row with an element that is not finite, or a range that is not, is NaN throughout. Scheme: Dettmers et al. 2022
// (arXiv:2208.07339, section 2, row-wise and column-wise constants), with a zero point a row.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/cpu/sgemm.h"

namespace winnow::cpu {

inline constexpr std::size_t kInt8Panel = 32, kInt8MostK = 65536;

enum class Int8Isa : std::uint8_t { Best, Avx2, Avx512, Vnni };
bool has_int8_isa(Int8Isa isa);

struct Int8Problem {
  std::size_t m = 0, n = 0, k = 0;  // k <= kInt8MostK
  int bits = 8;                     // or 15
  const float* a = nullptr;         // [m,k]
  const std::int8_t* codes = nullptr;
  const float* columns = nullptr;  // [2, padded n]: scale[j], then sum_k code[k,j]
  float* c = nullptr;              // [m,n]
  Int8Isa isa = Int8Isa::Best;
};

// Code (kk, j) lies at panel j / 32: [panel][ceil(k / 4)][32][4]; zeros beyond n and k.
constexpr std::size_t int8_padded(std::size_t n) { return (n + kInt8Panel - 1) / kInt8Panel * kInt8Panel; }
constexpr std::size_t int8_code_bytes(std::size_t n, std::size_t k) { return int8_padded(n) * ((k + 3) / 4 * 4); }
constexpr std::size_t int8_place(std::size_t k, std::size_t kk, std::size_t j) {
  return (j / kInt8Panel * ((k + 3) / 4) + kk / 4) * kInt8Panel * 4 + j % kInt8Panel * 4 + kk % 4;
}
// W[kk, j] is b[kk * ldb + j], with trans_b b[j * ldb + kk]. Weights that are not finite give NaN scales.
void int8_pack(const float* b, std::size_t ldb, bool trans_b, std::size_t n, std::size_t k, std::int8_t* codes,
               float* columns);

// Epilogue: all of sgemm.h but the column sums. The workspace is aligned to 64 bytes.
std::size_t int8_workspace_bytes(const Int8Problem& problem);
void int8_matmul(const Int8Problem& problem, const SgemmEpilogue& epilogue, void* workspace);

}  // namespace winnow::cpu
