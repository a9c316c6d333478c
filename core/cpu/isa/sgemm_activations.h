// Activations of the sgemm epilogue, on whole vectors. Included only by core/cpu/isa/sgemm_kernels.cpp.
#pragma once
#include "core/cpu/isa/sgemm_vector.h"

namespace winnow::cpu {
namespace {

WN_INLINE V vexp(V x) {  // ~1.5 ulp; below -87.33 as there, above 88.37 infinity
  x = max(set1(-87.33f), min(set1(89.f), x));
  const V n = round(mul(x, set1(1.44269504f)));
  V r = fma(n, set1(-0.693359375f), x);
  r = fma(n, set1(2.12194440e-4f), r);
  V p = set1(1.f / 5040);
  p = fma(p, r, set1(1.f / 720));
  p = fma(p, r, set1(1.f / 120));
  p = fma(p, r, set1(1.f / 24));
  p = fma(p, r, set1(1.f / 6));
  p = fma(p, r, set1(0.5f));
  p = fma(p, r, set1(1.f));
  p = fma(p, r, set1(1.f));
  return mul(p, pow2(n));
}
// log(x) for a positive normal x, or NaN. Fit of log(1 + f) on f in [-1/3, 1/3] as core/math.h has it.
WN_INLINE V vlog(V x) {
  V e, f;
  split(x, e, f);  // x = 2^e (1 + f)
  V p = set1(0.123578116f);
  p = fma(p, f, set1(-0.128470108f));
  p = fma(p, f, set1(0.106614247f));
  p = fma(p, f, set1(-0.1219531f));
  p = fma(p, f, set1(0.143128321f));
  p = fma(p, f, set1(-0.166796133f));
  p = fma(p, f, set1(0.199993059f));
  p = fma(p, f, set1(-0.249998197f));
  p = fma(p, f, set1(0.333333373f));
  const V ff = mul(f, f), low = fma(mul(ff, f), p, mul(e, set1(1.42860677e-6f)));
  const V y = fma(e, set1(0.693145752f), add(f, fma(ff, set1(-0.5f), low)));
  return fma(x, set1(0), y);  // NaN of NaN
}
// gelu is x * Phi(x). Phi(-t) = exp(-t^2/2) * s * P(s), s = 1/(1+0.275t), t >= 0: P is a fit of relative error 4e-8 on
// [0,14.5], so the left tail keeps its relative accuracy (erf-based forms lose it).
WN_INLINE V normal_cdf(V x, V& exponential) {  // Phi(x), and exp(-x^2/2)
  const V t = max(mul(x, set1(-1.f)), x), s = div(set1(1.f), fma(t, set1(0.275f), set1(1.f)));
  V p = set1(0.026406211778f);
  p = fma(p, s, set1(-0.10679748654f));
  p = fma(p, s, set1(0.12182024121f));
  p = fma(p, s, set1(-0.025258732959f));
  p = fma(p, s, set1(0.080956347287f));
  p = fma(p, s, set1(0.082010857761f));
  p = fma(p, s, set1(0.10139141231f));
  p = fma(p, s, set1(0.10976707935f));
  p = fma(p, s, set1(0.10970409960f));
  exponential = vexp(mul(mul(t, t), set1(-0.5f)));
  const V q = mul(mul(p, s), exponential);
  return where_gt(x, set1(0.f), fma(q, set1(-1.f), set1(1.f)), q);
}
WN_INLINE V gelu(V x) {
  V exponential;
  return mul(x, normal_cdf(x, exponential));
}
WN_INLINE V gelu_slope(V x) {  // Phi(x) + x phi(x)
  V exponential;
  const V cdf = normal_cdf(x, exponential);
  return fma(mul(x, set1(0.398942280401f)), exponential, cdf);
}
WN_INLINE V gelu_tanh(V x) {  // 0.5x(1+tanh(u)) = x / (1+exp(-2u)), u = sqrt(2/pi)(x + 0.044715x^3)
  const V u = mul(x, fma(mul(x, x), set1(-0.0713548162726f), set1(-1.59576912161f)));
  return div(x, add(set1(1.f), vexp(u)));
}
WN_INLINE V gelu_tanh_slope(V x) {  // s + x s (1 - s) u', s = 1 / (1 + exp(-u)), u twice the argument of tanh
  const V xx = mul(x, x), u = mul(x, fma(xx, set1(-0.0713548162726f), set1(-1.59576912161f)));
  const V s = div(set1(1.f), add(set1(1.f), vexp(u)));
  const V du = fma(xx, set1(0.214064448818f), set1(1.59576912161f));
  return fma(mul(mul(x, s), fma(s, set1(-1.f), set1(1.f))), du, s);
}
WN_INLINE V sigmoid(V x) { return div(set1(1.f), add(set1(1.f), vexp(mul(x, set1(-1.f))))); }
// |x| > 0.625: 1 - 2/(1+exp(2|x|)); else x + x^3 P(x^2), where the other form would cancel. P: interpolation at
// Chebyshev nodes, 3e-8.
WN_INLINE V tanh(V x) {
  const V z = mul(x, x), t = max(mul(x, set1(-1.f)), x);
  V p = set1(-0.00609455496f);
  p = fma(p, z, set1(0.02099569449f));
  p = fma(p, z, set1(-0.05385059658f));
  p = fma(p, z, set1(0.1333276768f));
  p = fma(p, z, set1(-0.3333332892f));
  const V small = fma(mul(p, z), x, x);
  const V large = fma(div(set1(2.f), add(set1(1.f), vexp(add(t, t)))), set1(-1.f), set1(1.f));
  return where_gt(t, set1(0.625f), where_gt(x, set1(0.f), large, mul(large, set1(-1.f))), small);
}

}  // namespace
}  // namespace winnow::cpu
