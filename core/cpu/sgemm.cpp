#include "core/cpu/sgemm.h"

#include <cstring>

#include "core/cpu/sgemm_drivers.h"
#include "core/error.h"
#include "core/parallel.h"

namespace winnow::cpu {

using std::size_t;

bool has_isa(Isa isa) {
  return isa != Isa::Avx512 || (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                                __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"));
}
const char* isa_name(Isa isa) { return sgemm_kernels(isa).name; }

const SgemmKernels& sgemm_kernels(Isa isa) {
  static const bool avx512 = has_isa(Isa::Avx512);
  return *(isa == Isa::Avx512 || (isa == Isa::Best && avx512) ? sgemm_kernels_avx512() : sgemm_kernels_avx2());
}

SgemmPath sgemm_path(const SgemmProblem& p) {
  const bool swap = p.n == 1 && p.packed_b == nullptr;
  const bool long_side_k_contiguous = swap ? !p.trans_a : p.trans_b;
  const size_t rows = swap ? 1 : p.m;
  if (p.k == 0) return SgemmPath::Blocked;
  if (p.packed_b == nullptr && long_side_k_contiguous && rows <= kDotM) return SgemmPath::Dot;
  return rows <= kSkinnyM ? SgemmPath::Skinny : SgemmPath::Blocked;
}

void column_sums_of_b(const SgemmProblem& p, float* out) {
  for (size_t j0 = 0; j0 < p.n; j0 += 64) {
    const size_t n = std::min<size_t>(64, p.n - j0);
    float sum[64] = {};
    if (!p.trans_b) {
      for (size_t kk = 0; kk < p.k; ++kk)
        for (size_t j = 0; j < n; ++j) sum[j] += p.b[kk * p.ldb + j0 + j];
    } else {
      for (size_t j = 0; j < n; ++j) {
        float lane[16] = {};
        for (size_t kk = 0; kk < p.k; ++kk) lane[kk % 16] += p.b[(j0 + j) * p.ldb + kk];
        for (const float v : lane) sum[j] += v;
      }
    }
    std::memcpy(out + j0, sum, n * sizeof(float));
  }
}

size_t sgemm_workspace_bytes(const SgemmProblem& p, const SgemmEpilogue& e) {
  if (p.m == 0 || p.n == 0) return 64;
  return sgemm_path(p) == SgemmPath::Blocked ? blocked_workspace_bytes(p, e) : short_workspace_bytes(p);
}

void sgemm(const SgemmProblem& p, const SgemmEpilogue& e, void* workspace) {
  WN_CHECK(e.colsum_b == nullptr || p.packed_b == nullptr, Error,
           "sgemm(): column sums of B cannot be taken from a packed B; pass b");
  if (p.n == 0) return;
  const SgemmPath path = p.m != 0 ? sgemm_path(p) : SgemmPath::Skinny;
  if (e.colsum_b != nullptr && (p.m == 0 || p.k == 0 || path != SgemmPath::Blocked)) column_sums_of_b(p, e.colsum_b);
  if (p.m == 0) {
    if (e.colsum_c != nullptr) std::fill_n(e.colsum_c, p.n, 0.f);
    return;
  }
  const double m = static_cast<double>(p.m), n = static_cast<double>(p.n), k = static_cast<double>(p.k);
  const bool tiny = m * n * k / 8 + m * k + k * n + m * n < 65536;  // waking the team costs more than it saves
  const int threads = tiny || omp_in_parallel() != 0 ? 1 : num_threads();
  if (path == SgemmPath::Blocked) {
    run_blocked(p, e, workspace, threads);
  } else {
    run_short(p, e, workspace, threads, path);
  }
}

size_t sgemm_packed_place(size_t n, size_t k, size_t kk, size_t j, Isa isa) {
  const SgemmKernels& kern = sgemm_kernels(isa);
  const KBlocks blocks(k, kern.kc);
  const size_t q = kk / blocks.kc, panel = j / kern.nr;
  return round_up(n, kern.nr) * q * blocks.kc + panel * kern.nr * blocks.length(q) + kk % blocks.kc * kern.nr +
         j % kern.nr;
}

size_t sgemm_packed_b_bytes(size_t n, size_t k, Isa isa) {
  return std::max<size_t>(64, round_up(n, sgemm_kernels(isa).nr) * k * sizeof(float));
}

void sgemm_pack_b(const float* b, size_t ldb, bool trans_b, size_t n, size_t k, void* out, Isa isa) {
  if (k == 0) return;
  const SgemmKernels& kern = sgemm_kernels(isa);
  const KBlocks blocks(k, kern.kc);
  for (size_t q = 0; q < blocks.count; ++q)
    kern.pack_nr(trans_b ? b + q * blocks.kc : b + q * blocks.kc * ldb, ldb, trans_b, n, blocks.length(q),
                 static_cast<float*>(out) + round_up(n, kern.nr) * q * blocks.kc);
}

}  // namespace winnow::cpu
