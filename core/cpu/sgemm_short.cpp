#include <cstring>

#include "core/cpu/sgemm_drivers.h"

namespace winnow::cpu {
namespace {

using std::size_t;
// Columns of a task, of a pack: multiples of every tile width (16, 32, 48).
constexpr size_t kUnit = 96, kSkinnyCols = 288, kInPlaceCols = 768;
constexpr size_t kSkinnyK = 8;  // rows of B read at a time where B is read in place
constexpr size_t kOwnK = 256;   // longest block of k a skinny task packs for itself
constexpr size_t kPackK = 256;  // steps of k in one packing task of the short side

// The short side X (at most kSkinnyM rows of k elements) against the long side Y (`count` of them).
struct Sides {
  bool swap;    // n = 1: the roles of A and B exchanged
  bool xk, yk;  // element (x,k) lies at [x*ld+k] rather than [k*ld+x]
  size_t rows, count, ldx, ldy;
  const float *x, *y;
  explicit Sides(const SgemmProblem& p) : swap(p.n == 1 && p.packed_b == nullptr) {
    if (swap) {
      rows = 1, count = p.m, x = p.b, ldx = p.ldb, xk = p.trans_b, y = p.a, ldy = p.lda, yk = !p.trans_a;
    } else {
      rows = p.m, count = p.n, x = p.a, ldx = p.lda, xk = !p.trans_a, y = p.b, ldy = p.ldb, yk = p.trans_b;
    }
  }
};

class Short {
 public:
  Short(const SgemmProblem& p, const SgemmEpilogue& e, void* workspace, int threads, SgemmPath path);
  void run();

 private:
  void pack_x_unit(size_t unit);
  void skinny_task(size_t task);
  void own_block(size_t n0, size_t n1, size_t block, float* acc);
  void packed_block(size_t n0, size_t n1, size_t block, float* acc);
  void in_place_block(size_t n0, size_t n1, size_t block, float* acc);
  void all_rows(size_t k0, size_t len, const float* y, size_t ldy, size_t n, float* acc) const;
  void dot_task(size_t task);
  void finish(const float* acc, size_t ld, size_t r0, size_t rows, size_t n0, size_t cols, float* sums, bool sums_new);
  void finish_column(const float* acc, size_t n0, size_t cols, float* sums, bool sums_new);
  size_t row0(size_t panel) const { return panel * h_.rows / panels_; }  // rows spread evenly over the panels
  float* at(float* acc, size_t j, size_t panel) const { return acc + (j * panels_ + panel) * kern_.mr * kern_.nr; }

  const SgemmProblem& p_;
  const SgemmEpilogue& e_;
  const SgemmKernels& kern_;
  Sides h_;
  KBlocks blocks_;
  SgemmPath path_;
  int threads_;
  size_t panels_, cols_, tasks_;
  float *packed_x_, *sums_;
  const float* x_;  // dot: the rows of X
  size_t ldx_;
};

// Reading B in place wants long runs of its rows: a share per thread (each column's sum is its own; only the exchanged
// case has sums across columns, so there the cut is by size).
size_t task_columns(const Sides& h, SgemmPath path, size_t threads) {
  if (path == SgemmPath::Dot) return kDotCols;
  if (h.rows > 2) return std::max(kUnit, std::min(kSkinnyCols, round_up(h.count / 8, kUnit)));
  return std::min(kInPlaceCols, std::max(kUnit, round_up(ceil_div(h.count, h.swap ? 4 : threads), kUnit)));
}

Short::Short(const SgemmProblem& p, const SgemmEpilogue& e, void* workspace, int threads, SgemmPath path)
    : p_(p),
      e_(e),
      kern_(sgemm_kernels(p.isa)),
      h_(p),
      blocks_(p.k, p.packed_b != nullptr ? kern_.kc : std::min(kOwnK, kern_.kc)),
      path_(path),
      threads_(threads) {
  panels_ = ceil_div(h_.rows, kern_.mr);
  cols_ = task_columns(h_, path, static_cast<size_t>(threads));
  tasks_ = ceil_div(h_.count, cols_);
  WorkspaceCutter ws{static_cast<char*>(workspace)};
  packed_x_ = ws.take(panels_ * kern_.mr * p.k);  // packed panels (skinny) or plain rows (dot)
  sums_ = ws.take(h_.swap ? tasks_ : 0);
  const bool in_place = path == SgemmPath::Dot && h_.xk;
  x_ = in_place ? h_.x : packed_x_;
  ldx_ = in_place ? h_.ldx : p.k;
}

void Short::finish(const float* acc, size_t ld, size_t r0, size_t rows, size_t n0, size_t cols, float* sums,
                   bool sums_new) {
  if (!h_.swap) {
    kern_.finish({acc, ld, static_cast<int>(rows), static_cast<int>(cols), p_.c + r0 * p_.ldc + n0, p_.ldc,
                  p_.accumulate, p_.alpha, &e_, r0, n0, sums, sums_new});
    return;
  }
  const bool plain = (e_.act == Act::None || e_.act == Act::Relu) && (e_.mask == nullptr || e_.mask_act == Act::Relu);
  if (plain) return finish_column(acc, n0, cols, sums, sums_new);
  for (size_t i = 0; i < cols; i += kern_.mr)
    kern_.finish({acc + i, 1, static_cast<int>(std::min(kern_.mr, cols - i)), 1, p_.c + (n0 + i) * p_.ldc, p_.ldc,
                  p_.accumulate, p_.alpha, &e_, n0 + i, 0, sums, sums_new && i == 0});
}

// One column of C: a tile of one column would spend most of its time on masks.
void Short::finish_column(const float* acc, size_t n0, size_t cols, float* sums, bool sums_new) {
  float sum = sums != nullptr && !sums_new ? *sums : 0.f;
  for (size_t x = 0; x < cols; ++x) {
    const size_t i = n0 + x;
    float t = acc[x] * p_.alpha;
    if (p_.accumulate) t += p_.c[i * p_.ldc];
    if (e_.bias != nullptr) t += e_.bias[0];
    if (e_.residual != nullptr) t += e_.residual[i * e_.ld_residual];
    if (e_.preact != nullptr) e_.preact[i * e_.ld_preact] = t;
    if (e_.act == Act::Relu && t <= 0) t = 0.f;
    if (e_.mask != nullptr && e_.mask[i * e_.ld_mask] <= 0) t = 0.f;
    sum += t;
    p_.c[i * p_.ldc] = t;
  }
  if (sums != nullptr) *sums = sum;
}

void Short::all_rows(size_t k0, size_t len, const float* y, size_t ldy, size_t n, float* acc) const {
  for (size_t q = 0; q < panels_; ++q)
    kern_.tile_direct(static_cast<int>(row0(q + 1) - row0(q)), len, packed_x_ + (q * p_.k + k0) * kern_.mr, y, ldy,
                      static_cast<int>(n), k0 > 0, acc + q * kern_.mr * kern_.nr);
}

// One block of k with B packed by the task for itself, a few panels at a time.
void Short::own_block(size_t n0, size_t n1, size_t block, float* acc) {
  alignas(64) float own[kOwnK * kUnit];
  const size_t nr = kern_.nr, kc = blocks_.length(block), k0 = block * blocks_.kc;
  for (size_t n = n0; n < n1; n += kUnit) {
    const size_t count = std::min(kUnit, n1 - n);
    kern_.pack_nr(h_.yk ? h_.y + n * h_.ldy + k0 : h_.y + k0 * h_.ldy + n, h_.ldy, h_.yk, count, kc, own);
    for (size_t x = 0; x < count; x += nr) all_rows(k0, kc, own + x * kc, nr, nr, at(acc, (n - n0 + x) / nr, 0));
  }
}

// acc [panels of B][panels of rows][mr][nr] += the block's sums. A chain of its own for each block of a packed B, as in
// the blocked way.
void Short::packed_block(size_t n0, size_t n1, size_t block, float* acc) {
  if (block == 0) return in_place_block(n0, n1, 0, acc);
  alignas(64) float part[4 * kMaxMR * kMaxNR];
  const size_t nr = kern_.nr, tile = kern_.mr * nr, kc = blocks_.length(block), k0 = block * blocks_.kc;
  const float* y = p_.packed_b + round_up(p_.n, nr) * k0 + n0 * kc;
  const size_t panels = ceil_div(n1 - n0, nr);
  for (size_t j = 0, wide; j < panels; j += wide) {
    wide = h_.rows <= 2 && j + 4 <= panels ? 4 : 1;
    for (size_t q = 0; q < panels_; ++q) {
      const float* x = packed_x_ + (q * p_.k + k0) * kern_.mr;
      const int rows = static_cast<int>(row0(q + 1) - row0(q));
      if (wide == 4)
        kern_.tile_wide(rows, kc, x, y + j * nr * kc, nr, nr * kc, false, part);
      else
        kern_.tile_direct(rows, kc, x, y + j * nr * kc, nr, static_cast<int>(nr), false, part);
      for (size_t w = 0; w < wide; ++w)
        for (size_t i = 0; i < static_cast<size_t>(rows) * nr; ++i) at(acc, j + w, q)[i] += part[w * tile + i];
    }
  }
}

void Short::in_place_block(size_t n0, size_t n1, size_t block, float* acc) {
  const size_t nr = kern_.nr, kc = blocks_.length(block), k0 = block * blocks_.kc, panels = ceil_div(n1 - n0, nr);
  const bool packed = p_.packed_b != nullptr;
  const float* y = packed ? p_.packed_b + round_up(p_.n, nr) * k0 + n0 * kc : h_.y + k0 * h_.ldy + n0;
  const size_t ldy = packed ? nr : h_.ldy, stride = packed ? nr * kc : nr, chunk = packed ? kc : kSkinnyK;
  for (size_t kk = 0; kk < kc; kk += chunk) {
    const size_t len = std::min(chunk, kc - kk);
    size_t j = 0;
    for (; h_.rows <= 2 && (j + 4) * nr <= n1 - n0; j += 4)
      kern_.tile_wide(static_cast<int>(h_.rows), len, packed_x_ + (k0 + kk) * kern_.mr, y + kk * ldy + j * stride, ldy,
                      stride, k0 + kk > 0, at(acc, j, 0));
    for (; j < panels; ++j)
      all_rows(k0 + kk, len, y + kk * ldy + j * stride, ldy, packed ? nr : std::min(nr, n1 - n0 - j * nr),
               at(acc, j, 0));
  }
}

void Short::skinny_task(size_t task) {
  alignas(64) float acc[(kSkinnyM + kMaxMR) * kSkinnyCols];  // holds kInPlaceCols of one panel of rows, too
  static_assert((kSkinnyM + kMaxMR) * kSkinnyCols >= kMaxMR * kInPlaceCols);
  const size_t nr = kern_.nr, n0 = task * cols_, n1 = std::min(h_.count, n0 + cols_), count = ceil_div(n1 - n0, nr);
  for (size_t block = 0; block < blocks_.count; ++block) {
    if (p_.packed_b != nullptr) {
      packed_block(n0, n1, block, acc);
    } else if (h_.rows > 2) {
      own_block(n0, n1, block, acc);
    } else {
      in_place_block(n0, n1, block, acc);
    }
  }
  for (size_t j = 0; j < count; ++j)
    for (size_t q = 0; q < panels_; ++q) {
      const size_t n = n0 + j * nr;
      float* sums = e_.colsum_c == nullptr ? nullptr : h_.swap ? sums_ + task : e_.colsum_c + n;
      finish(at(acc, j, q), nr, row0(q), row0(q + 1) - row0(q), n, std::min(nr, n1 - n), sums,
             h_.swap ? j == 0 : q == 0);
    }
}

void Short::dot_task(size_t task) {
  alignas(64) float acc[kDotM * kDotCols];
  const size_t n0 = task * cols_, n1 = std::min(h_.count, n0 + cols_), mr = kern_.mr, nr = kern_.nr;
  for (size_t n = n0, width; n < n1; n += width) {
    width = h_.rows == 1 && n1 - n >= 6 ? 6 : std::min<size_t>(3, n1 - n);
    for (size_t r = 0; r < h_.rows; r += 4)
      kern_.dot(static_cast<int>(std::min<size_t>(4, h_.rows - r)), static_cast<int>(width), p_.k, x_ + r * ldx_, ldx_,
                h_.y + n * h_.ldy, h_.ldy, acc + r * kDotCols + n - n0, kDotCols);
  }
  if (h_.swap) return finish(acc, kDotCols, 0, 1, n0, n1 - n0, e_.colsum_c != nullptr ? sums_ + task : nullptr, true);
  for (size_t n = n0; n < n1; n += nr)
    for (size_t r = 0; r < h_.rows; r += mr)
      finish(acc + r * kDotCols + n - n0, kDotCols, r, std::min(mr, h_.rows - r), n, std::min(nr, n1 - n),
             e_.colsum_c != nullptr ? e_.colsum_c + n : nullptr, r == 0);
}

void Short::pack_x_unit(size_t unit) {
  const size_t per_panel = ceil_div(p_.k, kPackK), q = unit / per_panel, k0 = unit % per_panel * kPackK, r = row0(q);
  kern_.pack_mr(h_.xk ? h_.x + r * h_.ldx + k0 : h_.x + k0 * h_.ldx + r, h_.ldx, h_.xk, row0(q + 1) - r,
                std::min(kPackK, p_.k - k0), packed_x_ + (q * p_.k + k0) * kern_.mr);
}

void Short::run() {
  const bool skinny = path_ == SgemmPath::Skinny;
#pragma omp parallel num_threads(threads_) if (threads_ > 1)
  {
    if (skinny) {
#pragma omp for schedule(static)
      for (size_t u = 0; u < panels_ * ceil_div(p_.k, kPackK); ++u) pack_x_unit(u);
    } else if (!h_.xk) {
#pragma omp for schedule(static)
      for (size_t kk = 0; kk < p_.k; ++kk)
        for (size_t r = 0; r < h_.rows; ++r) packed_x_[r * p_.k + kk] = h_.x[kk * h_.ldx + r];
    }
#pragma omp for schedule(dynamic, 1)
    for (size_t t = 0; t < tasks_; ++t) skinny ? skinny_task(t) : dot_task(t);
  }
  if (e_.colsum_c == nullptr || !h_.swap) return;
  float sum = sums_[0];
  for (size_t t = 1; t < tasks_; ++t) sum += sums_[t];
  e_.colsum_c[0] = sum;
}

}  // namespace

size_t short_workspace_bytes(const SgemmProblem& p) {
  const Sides h(p);
  WorkspaceCutter ws{nullptr};
  ws.take(round_up(h.rows, sgemm_kernels(p.isa).mr) * p.k);
  ws.take(h.swap ? ceil_div(h.count, kDotCols) : 0);  // at least as many as there are tasks
  return ws.used;
}
void run_short(const SgemmProblem& p, const SgemmEpilogue& e, void* workspace, int threads, SgemmPath path) {
  Short(p, e, workspace, threads, path).run();
}

}  // namespace winnow::cpu
