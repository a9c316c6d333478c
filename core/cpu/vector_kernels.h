// Inner products of vectors: what an exact search or a walk through a graph of vectors spends its time on. One form per
// instruction set; the bits of a product depend on d and on the instruction set alone, never on where a row stands.
#pragma once
#include <cstdint>

namespace winnow::cpu {

inline constexpr int kScanRows = 64;  // most rows of one call of scan: a bit each
inline constexpr int kMaxPanel = 32;  // of any instruction set
inline constexpr int kMaxCodeRows = 8;

struct VectorKernels {
  // out[i] = q . rows[i], i < n. The next `ahead` rows are fetched while one is used; 0 where they are in the cache.
  void (*dots)(const float* q, const float* const* rows, int64_t n, int64_t d, int64_t ahead, float* out);
  // out[i] = q . (rows + i d), i < n <= kScanRows, n >= 1; out has room for kScanRows. Bit i of the result: out[i] >
  // threshold (NaN is not). `ahead` floats further on are fetched while this is computed; they must be part of the same
  // array.
  uint64_t (*scan)(const float* q, const float* rows, int n, int64_t d, float threshold, int64_t ahead, float* out);
  // The same of two queries [2, d] with a threshold each: out [2][kScanRows], above [2].
  void (*scan_two)(const float* q, const float* rows, int n, int64_t d, const float* threshold, int64_t ahead,
                   float* out, uint64_t* above);

  // Coded rows (core/cpu/row_codes.h), d bytes each, d a multiple of 4, against queries of bytes, |q| <= most_code.
  //   product = start + sum_j q[j] row[j], exact modulo 2^32;  passes = float(product) scale[row] >= threshold
  int most_code, code_rows, code_panel;
  // out[i] = product of row i, i < kScanRows. Bit i of the result: it passes. `ahead`: bytes, as in scan.
  uint64_t (*scan_codes)(const int8_t* q, const uint8_t* rows, int64_t d, int32_t start, const float* scale,
                         float threshold, int64_t ahead, int32_t* out);
  // code_rows rows by a panel of code_panel queries [d / 4][panel][4], starts and thresholds [panel]. Returns whether
  // any passes; then out[r panel + j] are the products and bit j of above[r] says which. half: as in tile.
  bool (*tile_codes)(const uint8_t* rows, int64_t d, const int8_t* queries, bool half, const int32_t* start,
                     const float* scale, const float* threshold, int64_t ahead, int32_t* out, uint32_t* above);
};
const VectorKernels* vector_kernels_avx2();
const VectorKernels* vector_kernels_avx512();
const VectorKernels* vector_kernels_vnni();  // as avx512, with its instruction for bytes
const VectorKernels& vector_kernels();       // the best that this CPU runs

}  // namespace winnow::cpu
