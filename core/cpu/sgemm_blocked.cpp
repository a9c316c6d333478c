#include <omp.h>

#include "core/cpu/sgemm_drivers.h"

namespace winnow::cpu {
namespace {

using std::size_t;
constexpr size_t kPackRows = 48, kPackColumns = 96;  // a packing task's share of A, of B

void prefetch_tile(const float* t, size_t ld, size_t m, size_t n) {
  for (size_t r = 0; r < m; ++r, t += ld)
    for (size_t x = 0; x < n + 15; x += 16) __builtin_prefetch(t + std::min(x, n - 1));
}

bool has_epilogue(const SgemmEpilogue& e) {
  return e.bias || e.residual || e.preact || e.act != Act::None || e.mask || e.colsum_c;
}

class Blocked {
 public:
  Blocked(const SgemmProblem& p, const SgemmEpilogue& e, void* workspace);
  size_t workspace_bytes() const { return used_; }
  void run(int threads);

 private:
  // What the team works on between two barriers: block `phase` of every slice, over one super-tile of C.
  struct Stage {
    size_t ib0, jb0, row_blocks, col_blocks, i0, i1, j0, j1, phase;
  };
  void pack(const Stage& s, size_t unit);
  void pack_b_columns(const Stage& s, size_t slice, size_t block, size_t j);
  void multiply(const Stage& s, size_t unit);
  void row_task(const Stage& s, size_t ib, size_t thread);
  void column(const Stage& s, size_t slice, size_t block, size_t ib, size_t j, const float* a_block);
  void sum_slices(size_t ib, size_t jb);
  void sum_columns(size_t j) const;
  size_t a_units(const Stage& s) const { return ceil_div(s.i1 - s.i0, pack_rows_); }
  size_t b_units(const Stage& s) const { return pb_ != nullptr ? ceil_div(s.j1 - s.j0, pack_cols_) : 0; }
  size_t pack_units(const Stage& s) const { return slices_ * (a_units(s) + b_units(s)); }
  size_t multiply_units(const Stage& s) const { return slices_ * s.row_blocks * s.col_blocks; }

  const SgemmProblem& p_;
  const SgemmEpilogue& e_;
  const SgemmKernels& kern_;
  KBlocks blocks_;
  size_t mb_, nb_, row_blocks_, col_blocks_;  // rows and columns of a task's part of C, and how many there are
  size_t super_rows_, super_cols_;            // of them, how many are packed at a time
  size_t slices_, phases_;                    // k blocks form `slices_` independent chains of `phases_` blocks
  size_t pack_rows_, pack_cols_;
  size_t a_slice_, b_slice_, part_ld_, used_;
  float *pa_ = nullptr, *pb_ = nullptr, *sums_ = nullptr, *part_ = nullptr;
};

Blocked::Blocked(const SgemmProblem& p, const SgemmEpilogue& e, void* workspace)
    : p_(p), e_(e), kern_(sgemm_kernels(p.isa)), blocks_(p.k, kern_.kc) {
  mb_ = round_up(ceil_div(p.m, ceil_div(p.m, kern_.mt)), kern_.mr);
  nb_ = round_up(ceil_div(p.n, ceil_div(p.n, kern_.nt)), kern_.nr);
  while (ceil_div(p.m, mb_) * ceil_div(p.n, nb_) < 16 && nb_ > 64) nb_ = round_up(nb_ / 2, kern_.nr);
  while (ceil_div(p.m, mb_) * ceil_div(p.n, nb_) < 16 && mb_ > 48) mb_ = round_up(mb_ / 2, kern_.mr);
  row_blocks_ = ceil_div(p.m, mb_), col_blocks_ = ceil_div(p.n, nb_);
  super_rows_ = std::min(row_blocks_, std::max<size_t>(1, 4096 / mb_));
  super_cols_ = std::min(col_blocks_, std::max<size_t>(1, 4096 / nb_));
  const size_t tasks = row_blocks_ * col_blocks_;
  slices_ =
      tasks < 8 && p.packed_b == nullptr ? std::max<size_t>(1, std::min(ceil_div(16, tasks), blocks_.count / 2)) : 1;
  phases_ = ceil_div(blocks_.count, slices_);
  pack_rows_ = round_up(kPackRows, kern_.mr), pack_cols_ = round_up(kPackColumns, kern_.nr);
  a_slice_ = super_rows_ * mb_ * blocks_.kc, b_slice_ = super_cols_ * nb_ * blocks_.kc;
  part_ld_ = round_up(p.n, 16);
  WorkspaceCutter ws{static_cast<char*>(workspace)};
  pa_ = ws.take(slices_ * a_slice_);
  if (p.packed_b == nullptr) pb_ = ws.take(slices_ * b_slice_);
  if (e.colsum_c != nullptr) sums_ = ws.take(row_blocks_ * p.n);
  if (slices_ > 1) part_ = ws.take(slices_ * p.m * part_ld_);
  used_ = ws.used;
}

void Blocked::pack(const Stage& s, size_t unit) {
  const size_t units = a_units(s) + b_units(s), slice = unit / units, v = unit % units;
  const size_t block = slice * phases_ + s.phase, k0 = block * blocks_.kc;
  if (block >= blocks_.count) return;
  if (v >= a_units(s)) return pack_b_columns(s, slice, block, s.j0 + (v - a_units(s)) * pack_cols_);
  const size_t kc = blocks_.length(block), i = s.i0 + v * pack_rows_;
  kern_.pack_mr(p_.trans_a ? p_.a + k0 * p_.lda + i : p_.a + i * p_.lda + k0, p_.lda, !p_.trans_a,
                std::min(pack_rows_, s.i1 - i), kc, pa_ + slice * a_slice_ + (i - s.i0) * kc);
}

void Blocked::pack_b_columns(const Stage& s, size_t slice, size_t block, size_t j) {
  const size_t kc = blocks_.length(block), k0 = block * blocks_.kc, n = std::min(pack_cols_, s.j1 - j);
  float* out = pb_ + slice * b_slice_ + (j - s.j0) * kc;
  kern_.pack_nr(p_.trans_b ? p_.b + j * p_.ldb + k0 : p_.b + k0 * p_.ldb + j, p_.ldb, p_.trans_b, n, kc, out);
  if (e_.colsum_b == nullptr || s.ib0 != 0 || slices_ > 1) return;
  for (size_t x = 0; x < n; x += kern_.nr)
    kern_.panel_sum(out + x * kc, kc, static_cast<int>(std::min(kern_.nr, n - x)), block > 0, e_.colsum_b + j + x);
}

void Blocked::multiply(const Stage& s, size_t unit) {
  const size_t tasks = s.row_blocks * s.col_blocks, slice = unit / tasks, v = unit % tasks;
  const size_t block = slice * phases_ + s.phase;
  if (block >= blocks_.count) return;
  const size_t ib = s.ib0 + v / s.col_blocks, jb = s.jb0 + v % s.col_blocks;
  const float* a = pa_ + slice * a_slice_ + (ib * mb_ - s.i0) * blocks_.length(block);
  for (size_t j = jb * nb_; j < std::min(p_.n, (jb + 1) * nb_); j += kern_.nr) column(s, slice, block, ib, j, a);
}

// A row block packed by the thread that uses it, at once: it never leaves that core's L2.
void Blocked::row_task(const Stage& s, size_t ib, size_t thread) {
  const size_t kc = blocks_.length(s.phase), k0 = s.phase * blocks_.kc, i = ib * mb_;
  float* a = pa_ + thread * mb_ * blocks_.kc;
  kern_.pack_mr(p_.trans_a ? p_.a + k0 * p_.lda + i : p_.a + i * p_.lda + k0, p_.lda, !p_.trans_a,
                std::min(mb_, p_.m - i), kc, a);
  for (size_t j = s.j0; j < s.j1; j += kern_.nr) column(s, 0, s.phase, ib, j, a);
}

// The tiles of one panel of B with the rows of row block ib.
void Blocked::column(const Stage& s, size_t slice, size_t block, size_t ib, size_t j, const float* a_block) {
  const size_t mr = kern_.mr, nr = kern_.nr, kc = blocks_.length(block), i1 = std::min(p_.m, (ib + 1) * mb_);
  const bool first = block == slice * phases_, last = slices_ == 1 && block + 1 == blocks_.count;
  const bool plain = !last || !has_epilogue(e_);
  const float* b = p_.packed_b != nullptr ? p_.packed_b + round_up(p_.n, nr) * block * blocks_.kc + j * kc
                                          : pb_ + slice * b_slice_ + (j - s.j0) * kc;
  float* c = part_ != nullptr ? part_ + slice * p_.m * part_ld_ : p_.c;
  const size_t n = std::min(nr, p_.n - j);
  alignas(64) float acc[kMaxMR * kMaxNR];
  SgemmTile t{};
  t.acc = acc, t.acc_ld = nr, t.n = static_cast<int>(n), t.j = j;
  t.ldc = part_ != nullptr ? part_ld_ : p_.ldc, t.add_c = !first || (p_.accumulate && part_ == nullptr);
  t.alpha = part_ != nullptr ? 1.f : p_.alpha, t.ep = last ? &e_ : nullptr;
  for (size_t i = ib * mb_; i < i1; i += mr) {
    const size_t m = std::min(mr, i1 - i);
    const float* a = a_block + (i - ib * mb_) * kc;
    t.m = static_cast<int>(m), t.c = c + i * t.ldc + j, t.i = i;
    prefetch_tile(t.c, t.ldc, m, n);
    if (last && e_.mask != nullptr) prefetch_tile(e_.mask + i * e_.ld_mask + j, e_.ld_mask, m, n);
    if (last && e_.residual != nullptr) prefetch_tile(e_.residual + i * e_.ld_residual + j, e_.ld_residual, m, n);
    if (plain && m == mr && n == nr) {
      kern_.tile_full(kc, a, b, t.c, t.ldc, t.add_c, t.alpha);
      continue;
    }
    kern_.tile(t.m, t.n, kc, a, b, acc);
    if (last && sums_ != nullptr) t.colsum = sums_ + ib * p_.n + j, t.colsum_new = i == ib * mb_;
    kern_.finish(t);
  }
}

void Blocked::sum_slices(size_t ib, size_t jb) {
  const size_t mr = kern_.mr, nr = kern_.nr;
  const size_t i1 = std::min(p_.m, (ib + 1) * mb_), j1 = std::min(p_.n, (jb + 1) * nb_);
  alignas(64) float acc[kMaxMR * kMaxNR];
  for (size_t j = jb * nb_; j < j1; j += nr)
    for (size_t i = ib * mb_; i < i1; i += mr) {
      const size_t m = std::min(mr, i1 - i), n = std::min(nr, j1 - j);
      for (size_t r = 0; r < m; ++r)
        for (size_t x = 0; x < n; ++x) {
          const float* q = part_ + (i + r) * part_ld_ + j + x;
          float sum = *q;
          for (size_t s = 1; s * phases_ < blocks_.count; ++s) sum += q[s * p_.m * part_ld_];
          acc[r * nr + x] = sum;
        }
      kern_.finish({acc, nr, static_cast<int>(m), static_cast<int>(n), p_.c + i * p_.ldc + j, p_.ldc, p_.accumulate,
                    p_.alpha, &e_, i, j, sums_ != nullptr ? sums_ + ib * p_.n + j : nullptr, i == ib * mb_});
    }
}

void Blocked::sum_columns(size_t j) const {
  float sum = sums_[j];
  for (size_t ib = 1; ib < row_blocks_; ++ib) sum += sums_[ib * p_.n + j];
  e_.colsum_c[j] = sum;
}

void Blocked::run(int threads) {
  if (e_.colsum_b != nullptr && slices_ > 1) column_sums_of_b(p_, e_.colsum_b);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    for (size_t jb0 = 0; jb0 < col_blocks_; jb0 += super_cols_)
      for (size_t ib0 = 0; ib0 < row_blocks_; ib0 += super_rows_)
        for (size_t phase = 0; phase < phases_; ++phase) {
          const Stage s{ib0,
                        jb0,
                        std::min(super_rows_, row_blocks_ - ib0),
                        std::min(super_cols_, col_blocks_ - jb0),
                        ib0 * mb_,
                        std::min(p_.m, (ib0 + super_rows_) * mb_),
                        jb0 * nb_,
                        std::min(p_.n, (jb0 + super_cols_) * nb_),
                        phase};
          if (slices_ == 1 && s.row_blocks >= 2 * static_cast<size_t>(threads)) {
            const auto thread = static_cast<size_t>(threads > 1 ? omp_get_thread_num() : 0);
#pragma omp for schedule(dynamic, 1)
            for (size_t u = 0; u < b_units(s); ++u) pack_b_columns(s, 0, phase, s.j0 + u * pack_cols_);
#pragma omp for schedule(dynamic, 1)
            for (size_t u = 0; u < s.row_blocks; ++u) row_task(s, ib0 + u, thread);
            continue;
          }
#pragma omp for schedule(dynamic, 1)
          for (size_t u = 0; u < pack_units(s); ++u) pack(s, u);
#pragma omp for schedule(dynamic, 1)
          for (size_t u = 0; u < multiply_units(s); ++u) multiply(s, u);
        }
    if (slices_ > 1) {
#pragma omp for schedule(dynamic, 1)
      for (size_t u = 0; u < row_blocks_ * col_blocks_; ++u) sum_slices(u / col_blocks_, u % col_blocks_);
    }
    if (sums_ != nullptr) {
#pragma omp for schedule(static)
      for (size_t j = 0; j < p_.n; ++j) sum_columns(j);
    }
  }
}

}  // namespace

size_t blocked_workspace_bytes(const SgemmProblem& p, const SgemmEpilogue& e) {
  return Blocked(p, e, nullptr).workspace_bytes();
}
void run_blocked(const SgemmProblem& p, const SgemmEpilogue& e, void* workspace, int threads) {
  Blocked(p, e, workspace).run(threads);
}

}  // namespace winnow::cpu
