// What one instruction set provides to the drivers of sgemm. isa/sgemm_kernels.cpp is compiled once per set.
#pragma once
#include "core/cpu/sgemm.h"

namespace winnow::cpu {

// One tile of C (m <= mr rows, n <= nr columns) whose sums over this block of k lie in acc.
struct SgemmTile {
  const float* acc;
  std::size_t acc_ld;
  int m, n;
  float* c;
  std::size_t ldc;
  bool add_c;  // c += alpha*acc rather than c = alpha*acc
  float alpha;
  const SgemmEpilogue* ep;  // null: a partial sum, to be finished by a later block
  std::size_t i, j;         // place of the tile in C, for the epilogue's tensors
  float* colsum;            // this row block's column sums at column j (null: none)
  bool colsum_new;          // start them anew
};

struct SgemmKernels {
  const char* name;
  std::size_t mr, nr;      // rows and columns of a tile
  std::size_t kc, mt, nt;  // longest block of k; rows and columns of C per task
  // Packs cnt rows (columns) of op(A) (op(B)) by kc into ceil(cnt/P) panels of [kc][P], P = mr (nr), zero padded.
  // k_contiguous: element (x,k) is src[x*ld+k], else src[k*ld+x].
  void (*pack_mr)(const float* src, std::size_t ld, bool k_contiguous, std::size_t cnt, std::size_t kc, float* out);
  void (*pack_nr)(const float* src, std::size_t ld, bool k_contiguous, std::size_t cnt, std::size_t kc, float* out);
  // acc[rows][nr] = a-panel * b-panel, both packed; columns from `cols` on are unspecified.
  void (*tile)(int rows, int cols, std::size_t kc, const float* a, const float* b, float* acc);
  // The same for a full tile straight into C: c = [c +] alpha * sums.
  void (*tile_full)(std::size_t kc, const float* a, const float* b, float* c, std::size_t ldc, bool add_c, float alpha);
  // acc[rows][nr] (+)= a-panel * B[kc][cols <= nr] read in place with row stride ldb.
  void (*tile_direct)(int rows, std::size_t kc, const float* a, const float* b, std::size_t ldb, int cols, bool add,
                      float* acc);
  // The same for rows <= 2 and four whole panels of B, `panel` floats apart; acc: [4][mr][nr].
  void (*tile_wide)(int rows, std::size_t kc, const float* a, const float* b, std::size_t ldb, std::size_t panel,
                    bool add, float* acc);
  // out[r*ldo+n] = dot(a row r, b row n) for r < rows <= 4, n < nb; nb is 1, 2, 3, or 6 with one row.
  void (*dot)(int rows, int nb, std::size_t k, const float* a, std::size_t lda, const float* b, std::size_t ldb,
              float* out, std::size_t ldo);
  void (*finish)(const SgemmTile& tile);
  // out[n] (+)= sums over k of a packed panel of B.
  void (*panel_sum)(const float* panel, std::size_t kc, int n, bool add, float* out);
};

const SgemmKernels* sgemm_kernels_avx2();
const SgemmKernels* sgemm_kernels_avx512();

}  // namespace winnow::cpu
