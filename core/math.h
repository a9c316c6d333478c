// Elementary functions for kernels. The float forms have no branch, so that the compiler vectorises loops over them;
// the double forms are the standard library's. Errors against correctly rounded results (measured by
// tests/math_test.cpp): exp, sigmoid, softplus, log, log1p, tanh, erf <= 2 ULP, normal_cdf <= 6 ULP.
// NaN gives NaN; exp overflows to inf and underflows gradually to 0; log(0) = -inf, log(x < 0) = NaN.
// Products that feed a sum are explicit fma: the bits do not depend on how the compiler contracts expressions.
// Polynomials are minimax fits of these intervals (Remez exchange), made for this file.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>

#if defined(__CUDACC__)
#define WN_HD __host__ __device__ __forceinline__
#else
#define WN_HD __attribute__((always_inline)) inline  // an outlined call would keep the loop scalar
#endif

namespace winnow::math {

WN_HD float fma(float a, float b, float c) { return std::fma(a, b, c); }
WN_HD double fma(double a, double b, double c) { return std::fma(a, b, c); }
WN_HD float abs(float x) { return std::fabs(x); }
WN_HD double abs(double x) { return std::fabs(x); }
WN_HD float sqrt(float x) { return std::sqrt(x); }
WN_HD double sqrt(double x) { return std::sqrt(x); }
template <class T>
WN_HD T max(T a, T b) {
  return a > b || a != a ? a : b;
}  // NaN if either is
template <class T>
WN_HD T min(T a, T b) {
  return a < b || a != a ? a : b;
}

namespace detail {
// c0 + x c1 + x^2 c2 + ... by Horner's rule.
WN_HD float polynomial(float, float c) { return c; }
template <class... C>
WN_HD float polynomial(float x, float c, C... rest) {
  return fma(polynomial(x, rest...), x, c);
}
WN_HD int32_t bits(float x) { return __builtin_bit_cast(int32_t, x); }
WN_HD float from_bits(int32_t x) { return __builtin_bit_cast(float, x); }
WN_HD float copy_sign(float magnitude, float sign) {
  return from_bits((bits(magnitude) & 0x7fffffff) | (bits(sign) & static_cast<int32_t>(0x80000000u)));
}
}  // namespace detail

// e^(x + low) for |low| << 1: `low` carries what x lost to rounding.
WN_HD float exp(float x, float low = 0) {
  constexpr float kRound = 12582912;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  x = x < -104.0f ? -104.0f : x;      // both comparisons keep NaN
  x = x > 89.0f ? 89.0f : x;
  const float shifted = fma(x, 1.44269504f, kRound);
  const float n = shifted - kRound;
  const float r = fma(n, -1.42860677e-6f, fma(n, -0.693145752f, x)) + low;
  const float p =
      detail::polynomial(r, 0.5f, 0.166666672f, 0.0416662544f, 0.00833326112f, 0.00139472121f, 0.000199199218f);
  // 2^n in two factors, so that neither leaves the range and small results round once
  const int32_t i = detail::bits(shifted) - detail::bits(kRound), half = i >> 1;
  const float a = detail::from_bits((half + 127) << 23), b = detail::from_bits((i - half + 127) << 23);
  const float sum = 1.0f + r, lost = r - (sum - 1.0f);
  return (sum + fma(p, r * r, lost)) * a * b;
}
WN_HD double exp(double x) { return std::exp(x); }

namespace detail {
// log(x) + c for a positive normal x < inf, where c is small against log(x) or x is near 1.
WN_HD float log_normal(float x, float exponent_offset, float c) {
  constexpr int32_t kTwoThirds = 0x3f2aaaab;
  // unsigned: of a negative x, whose result nobody takes, the difference may wrap
  const auto i = static_cast<int32_t>(static_cast<uint32_t>(bits(x)) - static_cast<uint32_t>(kTwoThirds));
  const float e = static_cast<float>(i >> 23) + exponent_offset;
  const float f = from_bits((i & 0x007fffff) + kTwoThirds) - 1.0f;  // exact, in [-1/3, 1/3]
  const float p = polynomial(f, 0.333333373f, -0.249998197f, 0.199993059f, -0.166796133f, 0.143128321f, -0.1219531f,
                             0.106614247f, -0.128470108f, 0.123578116f);
  const float ff = f * f;
  const float low = fma(ff * f, p, fma(e, 1.42860677e-6f, c));
  return fma(e, 0.693145752f, f + fma(ff, -0.5f, low));
}
}  // namespace detail

WN_HD float log(float x) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const bool subnormal = x < 1.17549435e-38f;
  float y = detail::log_normal(subnormal ? x * 0x1p23f : x, subnormal ? -23.0f : 0.0f, 0.0f);
  y = x < kInf ? y : x;  // inf and NaN
  y = x == 0.0f ? -kInf : y;
  return x < 0.0f ? std::numeric_limits<float>::quiet_NaN() : y;
}
WN_HD double log(double x) { return std::log(x); }

// log(1 + x) for x >= 0.
WN_HD float log1p(float x) {
  const float u = 1.0f + x;
  const float lost = u > 0x1p24f ? 0.0f : (x - (u - 1.0f)) / u;  // what the sum rounded away
  const float y = detail::log_normal(u, 0.0f, lost);
  return x < std::numeric_limits<float>::infinity() ? y : x;
}
WN_HD double log1p(double x) { return std::log1p(x); }

// 1 / (1 + e^-x)
template <class T>
WN_HD T sigmoid(T x) {
  const T e = exp(-abs(x)), y = T(1) / (T(1) + e);
  return x < T(0) ? fma(-e, e * y, e) : y;  // e - e^2 / (1 + e) rounds once less than e / (1 + e)
}

// log(1 + e^x)
template <class T>
WN_HD T softplus(T x) {
  const T y = log1p(exp(-abs(x)));
  return (x > T(0) ? x : T(0)) + y;
}

WN_HD float tanh(float x) {
  const float a = abs(x), z = x * x;
  const float small = fma(x * z,
                          detail::polynomial(z, -0.333333313f, 0.133331954f, -0.0539453775f, 0.0216926094f,
                                             -0.00815628376f, 0.00212274841f),
                          x);
  const float large = 1.0f - 2.0f / (exp(2.0f * a) + 1.0f);
  return a < 0.63f ? small : detail::copy_sign(large, x);
}
WN_HD double tanh(double x) { return std::tanh(x); }

namespace detail {
// Phi(-a) for a >= 1, without cancellation in the tail: e^(-a^2 / 2) t poly(t), t = 1 / (1 + 0.35 a).
WN_HD float normal_tail(float a) {
  a = a > 15.0f ? 15.0f : a;
  const float aa = a * a, lost = fma(a, a, -aa);
  const float t = 1.0f / fma(a, 0.35f, 1.0f);
  const float q = polynomial(t, 0.139622048f, 0.13983497f, 0.120204799f, 0.102985606f, -0.01349218f, 0.137549445f,
                             -0.227288976f, 0.123785377f, -0.0231678244f);
  return exp(-0.5f * aa, -0.5f * lost) * (t * q);
}
}  // namespace detail

WN_HD float erf(float x) {
  const float a = abs(x);
  const float small = fma(x,
                          detail::polynomial(x * x, 0.128379166f, -0.37612626f, 0.112836003f, -0.0268544443f,
                                             0.00518953567f, -0.000802084222f, 7.88912294e-05f),
                          x);
  const float large = fma(-2.0f, detail::normal_tail(1.41421356f * a), 1.0f);
  return a < 1.0f ? small : detail::copy_sign(large, x);
}
WN_HD double erf(double x) { return std::erf(x); }

// Phi(x), the distribution function of the standard normal law; relatively accurate in both tails.
WN_HD float normal_cdf(float x) {
  const float a = abs(x), q = detail::normal_tail(a);
  const float small = fma(x,
                          detail::polynomial(x * x, 0.398942292f, -0.0664903596f, 0.00997333135f, -0.00118635304f,
                                             0.000113512659f, -7.66467929e-06f),
                          0.5f);
  const float large = x < 0.0f ? q : 1.0f - q;
  return a < 1.0f ? small : large;
}
WN_HD double normal_cdf(double x) { return 0.5 * std::erfc(-0.70710678118654752440 * x); }
// phi(x), its density.
template <class T>
WN_HD T normal_pdf(T x) {
  return T(0.39894228040143267794) * exp(T(-0.5) * x * x);
}

}  // namespace winnow::math
