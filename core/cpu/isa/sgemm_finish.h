// The sgemm epilogue: one pass over the tile per active step, the tile staying in registers or L1.
// Included only by core/cpu/isa/sgemm_kernels.cpp.
#pragma once
#include "core/cpu/isa/sgemm_activations.h"
#include "core/cpu/sgemm_kernels.h"

namespace winnow::cpu {
namespace {

// Full: all NV * W columns; AllRows: all MR rows, which then stay in registers.
template <int MR, int NV, bool Full, bool AllRows>
class Finish {
 public:
  explicit WN_INLINE_LAMBDA Finish(const SgemmTile& t) : t_(t), nv_(Full ? NV : (t.n + W - 1) / W) {}

  WN_INLINE_LAMBDA void run() {
    each([&](int r, int v, V& y) WN_INLINE_LAMBDA { y = get(t_.acc + static_cast<size_t>(r) * t_.acc_ld + v * W, v); });
    if (t_.alpha != 1.f) each([&](int, int, V& y) WN_INLINE_LAMBDA { y = mul(y, set1(t_.alpha)); });
    if (t_.add_c) each([&](int r, int v, V& y) WN_INLINE_LAMBDA { y = add(y, get(c(r, v), v)); });
    if (t_.ep != nullptr) epilogue(*t_.ep);
    each([&](int r, int v, V& y) WN_INLINE_LAMBDA { put(c(r, v), y, v); });
  }

 private:
  WN_INLINE_LAMBDA V get(const float* p, int v) const { return Full ? load(p) : load_first(p, t_.n - v * W); }
  WN_INLINE_LAMBDA void put(float* p, V y, int v) const { Full ? store(p, y) : store_first(p, y, t_.n - v * W); }
  WN_INLINE_LAMBDA float* c(int r, int v) const { return t_.c + static_cast<size_t>(r) * t_.ldc + v * W; }
  template <class T>
  WN_INLINE_LAMBDA T* at(T* p, size_t ld, int r, int v) const {
    return p + (t_.i + static_cast<size_t>(r)) * ld + t_.j + v * W;
  }
  template <class F>
  WN_INLINE_LAMBDA void each(F f) {
    if constexpr (Full && AllRows) {
      unrolled<MR * NV>([&](auto i) WN_INLINE_LAMBDA { f(i.v / NV, i.v % NV, x_[i.v / NV][i.v % NV]); });
    } else {
      for (int r = 0; r < t_.m; ++r)
        for (int v = 0; v < nv_; ++v) f(r, v, x_[r][v]);
    }
  }
  WN_INLINE_LAMBDA void epilogue(const SgemmEpilogue& e) {
    if (e.bias != nullptr) {
      V b[NV];
      for (int v = 0; v < NV; ++v) b[v] = v < nv_ ? get(e.bias + t_.j + v * W, v) : set1(0);
      each([&](int, int v, V& y) WN_INLINE_LAMBDA { y = add(y, b[v]); });
    }
    if (e.residual != nullptr)
      each([&](int r, int v, V& y) WN_INLINE_LAMBDA { y = add(y, get(at(e.residual, e.ld_residual, r, v), v)); });
    if (e.preact != nullptr)
      each([&](int r, int v, V& y) WN_INLINE_LAMBDA { put(at(e.preact, e.ld_preact, r, v), y, v); });
    activation(e.act);
    if (e.mask != nullptr) masked(e);
    if (t_.colsum != nullptr) column_sums();
  }
  WN_INLINE_LAMBDA void activation(Act act) {
    if (act == Act::Relu) each([&](int, int, V& y) WN_INLINE_LAMBDA { y = max(set1(0), y); });
    if (act > Act::Relu) transcendental(act);
  }
  WN_INLINE_LAMBDA void masked(const SgemmEpilogue& e) {
    if (e.mask_act == Act::Relu) {
      each([&](int r, int v, V& y) WN_INLINE_LAMBDA { y = where_not_le0(get(at(e.mask, e.ld_mask, r, v), v), y); });
      return;
    }
    V slope[MR * NV];
    for (int i = 0; i < t_.m * NV; ++i) {
      if (i % NV >= nv_) continue;
      const V x = get(at(e.mask, e.ld_mask, i / NV, i % NV), i % NV);
      slope[i] = e.mask_act == Act::Gelu ? gelu_slope(x) : gelu_tanh_slope(x);
    }
    each([&](int r, int v, V& y) WN_INLINE_LAMBDA { y = mul(y, slope[r * NV + v]); });
  }
  // These are long and compute-bound, so a loop over a copy: x_ itself must see constant indices to stay in registers.
  WN_INLINE_LAMBDA void transcendental(Act act) {
    V y[MR * NV];
    each([&](int r, int v, V& x) WN_INLINE_LAMBDA { y[r * NV + v] = x; });
    for (int i = 0; i < t_.m * NV; ++i) {
      if (i % NV >= nv_) continue;
      y[i] = act == Act::Gelu       ? gelu(y[i])
             : act == Act::GeluTanh ? gelu_tanh(y[i])
             : act == Act::Sigmoid  ? sigmoid(y[i])
                                    : tanh(y[i]);
    }
    each([&](int r, int v, V& x) WN_INLINE_LAMBDA { x = y[r * NV + v]; });
  }
  WN_INLINE_LAMBDA void column_sums() {
    V s[NV];
    for (int v = 0; v < NV; ++v) s[v] = t_.colsum_new || v >= nv_ ? set1(0) : get(t_.colsum + v * W, v);
    each([&](int, int v, V& y) WN_INLINE_LAMBDA { s[v] = add(s[v], y); });
    for (int v = 0; v < nv_; ++v) put(t_.colsum + v * W, s[v], v);
  }

  const SgemmTile& t_;
  int nv_;
  V x_[MR][NV];
};

template <int MR, int NV>
void finish(const SgemmTile& t) {
  if (t.n < NV * W) return Finish<MR, NV, false, false>(t).run();
  if (t.m < MR) return Finish<MR, NV, true, false>(t).run();
  Finish<MR, NV, true, true>(t).run();
}

}  // namespace
}  // namespace winnow::cpu
