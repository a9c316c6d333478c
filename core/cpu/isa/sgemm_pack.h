// Packing of the sgemm kernels. Included only by core/cpu/isa/sgemm_kernels.cpp.
#pragma once
#include "core/cpu/isa/sgemm_vector.h"

namespace winnow::cpu {
namespace {

// Steps k .. k+8 of up to 8 rows become 8 rows of R floats, P apart.
template <int R>
WN_INLINE void transpose_store(const float* const* row, int n, size_t k, float* out, int P) {
  __m256 r[8], t[8];
  for (int i = 0; i < 8; ++i) r[i] = i < n ? _mm256_loadu_ps(row[i] + k) : _mm256_setzero_ps();
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  for (int i = 0; i < 8; ++i) {
    const __m256 v =
        i < 4 ? _mm256_permute2f128_ps(r[i], r[i + 4], 0x20) : _mm256_permute2f128_ps(r[i - 4], r[i], 0x31);
    float* o = out + i * P;
    if constexpr (R == 8) {
      _mm256_storeu_ps(o, v);
    } else {
      _mm_storeu_ps(o, _mm256_castps256_ps128(v));
      if constexpr (R == 6) _mm_storel_pi(reinterpret_cast<__m64*>(o + 4), _mm256_extractf128_ps(v, 1));
    }
  }
}

// Rows G .. G+R of a panel of P; n of them exist.
template <int P, int G>
WN_INLINE void pack_group(const float* src, size_t ld, int n, size_t kc, float* out) {
  constexpr int R = P - G >= 8 ? 8 : P - G;
  static_assert(R == 8 || R == 6 || R == 4);
  const float* row[8];
  for (int i = 0; i < 8; ++i) row[i] = i < n ? src + static_cast<size_t>(G + i) * ld : nullptr;
  size_t k = 0;
  if (n >= R) {
    for (; k + 8 <= kc; k += 8) transpose_store<R>(row, R, k, out + k * P + G, P);
  } else if (n > 0) {
    for (; k + 8 <= kc; k += 8) transpose_store<R>(row, n, k, out + k * P + G, P);
  }
  for (; k < kc; ++k)
    for (int i = 0; i < R; ++i) out[k * P + G + i] = i < n ? row[i][k] : 0.f;
  if constexpr (G + R < P) pack_group<P, G + R>(src, ld, n - R, kc, out);
}

template <int P>
WN_INLINE void copy_floats(const float* s, float* o) {
  int i = 0;
  for (; i + W <= P; i += W) store(o + i, load(s + i));
  if constexpr (P % W >= 8) {
    _mm256_storeu_ps(o + i, _mm256_loadu_ps(s + i));
    i += 8;
  }
  if constexpr (P % 8 >= 4) {
    _mm_storeu_ps(o + i, _mm_loadu_ps(s + i));
    i += 4;
  }
  if constexpr (P % 4 == 2)
    _mm_storel_pi(reinterpret_cast<__m64*>(o + i),
                  _mm_loadl_pi(_mm_setzero_ps(), reinterpret_cast<const __m64*>(s + i)));
}

template <int P>
void pack(const float* src, size_t ld, bool k_contiguous, size_t cnt, size_t kc, float* out) {
  if (k_contiguous) {
    for (size_t x = 0; x < cnt; x += P)
      pack_group<P, 0>(src + x * ld, ld, static_cast<int>(cnt - x < P ? cnt - x : P), kc, out + x * kc);
    return;
  }
  // A few steps of k at a time: each panel gets whole cache lines at once (panels lie a multiple of 4 KiB apart), and a
  // long run of each row of src is read. The rows are prefetched because their stride defeats the hardware.
  constexpr size_t kSteps = 8;
  for (size_t k0 = 0; k0 < kc; k0 += kSteps) {
    const size_t k1 = kc - k0 < kSteps ? kc : k0 + kSteps;
    for (size_t x = 0; x < cnt; x += P)
      for (size_t k = k0; k < k1; ++k) {
        const float* s = src + k * ld + x;
        float* o = out + x * kc + k * P;
        __builtin_prefetch(s + 2 * kSteps * ld);
        if (cnt - x >= P) {
          copy_floats<P>(s, o);
        } else {
          for (size_t i = 0; i < P; ++i) o[i] = i < cnt - x ? s[i] : 0.f;
        }
      }
  }
}

}  // namespace
}  // namespace winnow::cpu
