// Compiled once per instruction set (-DWINNOW_ISA=avx2 | avx512) with that set's flags. Uses no inline function of the
// standard library: the linker could keep a copy that this CPU cannot run.
#include "core/cpu/sgemm_kernels.h"

#include "core/cpu/isa/sgemm_finish.h"
#include "core/cpu/isa/sgemm_pack.h"

namespace winnow::cpu {
namespace {

#if defined(WINNOW_ISA_avx512)
constexpr int MR = 12, NV = 2;

#else
constexpr int MR = 6, NV = 2;

#endif
constexpr int NR = NV * W;
// Measured on Zen 5 (1 MiB of L2), both forms: KC = 512 gains 3 % over 256 because partial sums pass through C half as
// often; the B panel then streams from L2, which costs nothing measurable. A block MT x KC takes 240 KiB.
constexpr size_t KC = 512, MT = 120, NT = 256;

// Where a kernel reads B: packed (row stride NR), in place, or in place with fewer than NR columns.
enum class FromB { Packed, InPlace, Partial };

// init and done say where the sums start from and go to: f(row, vector, sum).
// NU of the NV vectors of columns are computed.
template <int R, FromB B, int NU = NV, class Init, class Done>
WN_INLINE void tile_body(size_t kc, const float* a, const float* b, size_t ldb, int cols, Init init, Done done) {
  V c[R][NU];
  unrolled<R * NU>([&](auto i) WN_INLINE_LAMBDA { init(i.v / NU, i.v % NU, c[i.v / NU][i.v % NU]); });
  auto step = [&](const float* ak, const float* bk) WN_INLINE_LAMBDA {
    V y[NU];
    unrolled<NU>([&](auto v) WN_INLINE_LAMBDA {
      y[v.v] = B == FromB::Partial ? load_first(bk + v.v * W, cols - v.v * W) : load(bk + v.v * W);
    });
    unrolled<R>([&](auto r) WN_INLINE_LAMBDA {
      const V x = set1(ak[r.v]);
      unrolled<NU>([&](auto v) WN_INLINE_LAMBDA { fma_to(c[r.v][v.v], x, y[v.v]); });
    });
  };
  if constexpr (B == FromB::Packed) {
    ldb = NR;
    for (; kc >= 4; kc -= 4, a += 4 * MR, b += 4 * NR)
      unrolled<4>([&](auto u) WN_INLINE_LAMBDA { step(a + u.v * MR, b + u.v * NR); });
  }
  for (; kc != 0; --kc, a += MR, b += ldb) step(a, b);
  unrolled<R * NU>([&](auto i) WN_INLINE_LAMBDA { done(i.v / NU, i.v % NU, c[i.v / NU][i.v % NU]); });
}
constexpr auto from_zero = [](int, int, V& x) WN_INLINE_LAMBDA { x = set1(0); };

template <int R>
void tile(int m, int cols, size_t kc, const float* a, const float* b, float* acc) {
  if constexpr (R > 1)
    if (m < R) return tile<R - 1>(m, cols, kc, a, b, acc);
  const auto done = [=](int r, int v, V x) WN_INLINE_LAMBDA { store(acc + r * NR + v * W, x); };
  if (cols <= W) return tile_body<R, FromB::Packed, 1>(kc, a, b, NR, NR, from_zero, done);
  tile_body<R, FromB::Packed>(kc, a, b, NR, NR, from_zero, done);
}
void tile_full(size_t kc, const float* a, const float* b, float* c, size_t ldc, bool add_c, float alpha) {
  tile_body<MR, FromB::Packed>(kc, a, b, NR, NR, from_zero, [=](int r, int v, V x) WN_INLINE_LAMBDA {
    float* p = c + static_cast<size_t>(r) * ldc + v * W;
    x = mul(x, set1(alpha));
    store(p, add_c ? add(x, load(p)) : x);
  });
}
template <int R>
void tile_direct(int m, size_t kc, const float* a, const float* b, size_t ldb, int cols, bool more, float* acc) {
  if constexpr (R > 1)
    if (m < R) return tile_direct<R - 1>(m, kc, a, b, ldb, cols, more, acc);
  auto init = [=](int r, int v, V& x) WN_INLINE_LAMBDA { x = more ? load(acc + r * NR + v * W) : set1(0); };
  auto done = [=](int r, int v, V x) WN_INLINE_LAMBDA { store(acc + r * NR + v * W, x); };
  if (cols == NR) {
    tile_body<R, FromB::InPlace>(kc, a, b, ldb, NR, init, done);
  } else {
    tile_body<R, FromB::Partial>(kc, a, b, ldb, cols, init, done);
  }
}
// P panels at a time for the few rows whose sums alone would not hide the FMA's latency.
template <int R, int P>
WN_INLINE void wide_body(size_t kc, const float* a, const float* b, size_t ldb, size_t panel, bool more, float* acc) {
  V c[P][R][NV];
  auto each = [&](auto f) WN_INLINE_LAMBDA {
    unrolled<P * R * NV>([&](auto i) WN_INLINE_LAMBDA {
      constexpr int p = i.v / (R * NV), r = i.v / NV % R, v = i.v % NV;
      f(c[p][r][v], acc + p * MR * NR + r * NR + v * W);
    });
  };
  each([&](V& x, const float* at) WN_INLINE_LAMBDA { x = more ? load(at) : set1(0); });
  for (; kc != 0; --kc, a += MR, b += ldb)
    unrolled<P * NV>([&](auto i) WN_INLINE_LAMBDA {
      constexpr int p = i.v / NV, v = i.v % NV;
      const V y = load(b + p * panel + v * W);
      unrolled<R>([&](auto r) WN_INLINE_LAMBDA { fma_to(c[p][r.v][v], set1(a[r.v]), y); });
    });
  each([&](V x, float* at) WN_INLINE_LAMBDA { store(at, x); });
}
void tile_wide(int m, size_t kc, const float* a, const float* b, size_t ldb, size_t panel, bool more, float* acc) {
  if (m == 1) return wide_body<1, 4>(kc, a, b, ldb, panel, more, acc);
  wide_body<2, 2>(kc, a, b, ldb, panel, more, acc);
  wide_body<2, 2>(kc, a, b + 2 * panel, ldb, panel, more, acc + 2 * MR * NR);
}

template <int R, int N>
void dot_body(size_t k, const float* a, size_t lda, const float* b, size_t ldb, float* out, size_t ldo) {
  V c[R * N];
  unrolled<R * N>([&](auto i) WN_INLINE_LAMBDA { c[i.v] = set1(0); });
  auto step = [&](size_t q, int n) WN_INLINE_LAMBDA {
    V y[N];
    unrolled<N>([&](auto j)
                    WN_INLINE_LAMBDA { y[j.v] = n == W ? load(b + j.v * ldb + q) : load_first(b + j.v * ldb + q, n); });
    unrolled<R>([&](auto r) WN_INLINE_LAMBDA {
      const V x = n == W ? load(a + r.v * lda + q) : load_first(a + r.v * lda + q, n);
      unrolled<N>([&](auto j) WN_INLINE_LAMBDA { fma_to(c[r.v * N + j.v], x, y[j.v]); });
    });
  };
  size_t q = 0;
  for (; q + W <= k; q += W) step(q, W);
  if (q < k) step(q, static_cast<int>(k - q));
  unrolled<R * N>([&](auto i) WN_INLINE_LAMBDA { out[i.v / N * ldo + i.v % N] = lane_sum(c[i.v]); });
}
template <int R>
void dot(int m, int nb, size_t k, const float* a, size_t lda, const float* b, size_t ldb, float* o, size_t ldo) {
  if constexpr (R > 1)
    if (m < R) return dot<R - 1>(m, nb, k, a, lda, b, ldb, o, ldo);
  if constexpr (R == 1)
    if (nb == 6) return dot_body<1, 6>(k, a, lda, b, ldb, o, ldo);
  if (nb == 3) return dot_body<R, 3>(k, a, lda, b, ldb, o, ldo);
  if (nb == 2) return dot_body<R, 2>(k, a, lda, b, ldb, o, ldo);
  dot_body<R, 1>(k, a, lda, b, ldb, o, ldo);
}

void panel_sum(const float* p, size_t kc, int n, bool more, float* out) {
  V s[NV];
  unrolled<NV>([&](auto v) WN_INLINE_LAMBDA { s[v.v] = set1(0); });
  for (size_t k = 0; k < kc; ++k, p += NR)
    unrolled<NV>([&](auto v) WN_INLINE_LAMBDA { s[v.v] = add(s[v.v], load(p + v.v * W)); });
  unrolled<NV>([&](auto v) WN_INLINE_LAMBDA {
    const int left = n - v.v * W;
    if (left <= 0) return;
    store_first(out + v.v * W, more ? add(load_first(out + v.v * W, left), s[v.v]) : s[v.v], left);
  });
}

#define WN_TEXT_(x) #x
#define WN_TEXT(x) WN_TEXT_(x)
#define WN_JOIN_(a, b) a##b
#define WN_JOIN(a, b) WN_JOIN_(a, b)
const SgemmKernels kTable = {WN_TEXT(WINNOW_ISA),
                             MR,
                             NR,
                             KC,
                             MT,
                             NT,
                             pack<MR>,
                             pack<NR>,
                             tile<MR>,
                             tile_full,
                             tile_direct<MR>,
                             tile_wide,
                             dot<4>,
                             finish<MR, NV>,
                             panel_sum};

}  // namespace

const SgemmKernels* WN_JOIN(sgemm_kernels_, WINNOW_ISA)() { return &kTable; }

}  // namespace winnow::cpu
