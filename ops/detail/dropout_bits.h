// The random bits of ops/detail/dropout_mask.h, 64 elements at a time in AVX2 registers.
#pragma once
#include <immintrin.h>

#include "ops/detail/dropout_mask.h"

namespace winnow::detail {

// The bits of the 64 elements of a group. Four 64-bit boxes a register, of which only the low halves count, so that a
// round needs no shuffle.
inline void dropout_bits_of_group(const Philox& philox, uint64_t step, int64_t group, uint16_t* bits) {
  const __m256i m0 = _mm256_set1_epi64x(0xD2511F53), m1 = _mm256_set1_epi64x(0xCD9E8D57);
  __m256i c0[2], c1[2], c2[2], c3[2];
  for (int s = 0; s < 2; ++s) {
    const __m256i counter = _mm256_add_epi64(_mm256_set1_epi64x(8 * group + 4 * s), _mm256_setr_epi64x(0, 1, 2, 3));
    c0[s] = counter;
    c1[s] = _mm256_srli_epi64(counter, 32);
    c2[s] = _mm256_set1_epi64x(static_cast<int64_t>(step & 0xffffffffu));
    c3[s] = _mm256_set1_epi64x(static_cast<int64_t>((step >> 32) ^ (philox.stream >> 32)));
  }
  uint32_t k0 = static_cast<uint32_t>(philox.seed) ^ (static_cast<uint32_t>(philox.stream) * 0x85EBCA6Bu);
  uint32_t k1 = static_cast<uint32_t>(philox.seed >> 32) ^ static_cast<uint32_t>(philox.stream);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const __m256i v0 = _mm256_set1_epi64x(k0), v1 = _mm256_set1_epi64x(k1);
    for (int s = 0; s < 2; ++s) {
      const __m256i p0 = _mm256_mul_epu32(c0[s], m0), p1 = _mm256_mul_epu32(c2[s], m1);
      c0[s] = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p1, 32), c1[s]), v0);
      c2[s] = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p0, 32), c3[s]), v1);
      c1[s] = p1;
      c3[s] = p0;
    }
  }
  const auto both = [](__m256i low, __m256i high) {
    return _mm256_blend_epi32(low, _mm256_slli_epi64(high, 32), 0xAA);
  };
  for (int s = 0; s < 2; ++s) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(bits + 32 * s), both(c0[s], c1[s]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(bits + 32 * s + 16), both(c2[s], c3[s]));
  }
}

}  // namespace winnow::detail
