// Which elements dropout keeps: 16 random bits for each, a function of (seed, stream, step, element) only, the same on
// every device.
//
// Element i takes its bits from the Philox block (core/rng.h) with counter 8 (i / 64) + 4 s + j, where e = i % 64,
// s = e / 32, j = (e % 16) / 4: bits 16 (e % 2) .. of word 2 ((e % 32) / 16) + (e % 4) / 2. The order is what eight
// blocks side by side in two vector registers produce without a transposition.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/op.h"
#include "core/rng.h"

namespace winnow::detail {

inline constexpr int64_t kBitsGroup = 64;

// Dropped are elements whose 16 bits are below the threshold of p in [0, 1); the others are scaled by 1 / (1 - q), q
// being p rounded to 1 / 65536.
inline constexpr int64_t kDropoutLevels = 65536;
inline int32_t dropout_threshold(double p) {
  return static_cast<int32_t>(
      std::min<int64_t>(kDropoutLevels - 1, std::llround(p * static_cast<double>(kDropoutLevels))));
}
inline double dropout_scale(int32_t threshold) {
  return static_cast<double>(kDropoutLevels) / static_cast<double>(kDropoutLevels - threshold);
}

// Of elements i .. i + 3, i a multiple of 4: bits of the first in the low half of `first`, of the second in its high
// half; the others likewise.
struct DropoutBits {
  uint32_t first, second;
};
WN_HD DropoutBits dropout_bits_of_four(const Philox& philox, uint64_t step, int64_t element) {
  const auto i = static_cast<uint64_t>(element), e = i % 64;
  const auto block = philox(8 * (i / 64) + 4 * (e / 32) + e % 16 / 4, step);
  return e % 32 < 16 ? DropoutBits{block[0], block[1]} : DropoutBits{block[2], block[3]};
}
WN_HD uint32_t dropout_bits(const Philox& philox, uint64_t step, int64_t element) {
  const DropoutBits bits = dropout_bits_of_four(philox, step, element & ~int64_t{3});
  return (element % 4 < 2 ? bits.first : bits.second) >> (16 * (element % 2)) & 0xffffu;
}

// Of a node with attributes p, seed and stream, and where p > 0 the step as its last input.
struct RowDropout {
  Philox philox;
  int32_t threshold = 0;  // 0: everything is kept
  double scale = 1;
  int step = -1;  // input
  explicit RowDropout(const NodeSpec& node) {
    const Attrs& a = node.attrs;
    const double p = a.number("p");
    if (p == 0) return;
    philox = {static_cast<uint64_t>(a.integer("seed")), static_cast<uint64_t>(a.integer("stream"))};
    threshold = dropout_threshold(p);
    scale = dropout_scale(threshold);
    step = static_cast<int>(node.in.size()) - 1;
  }
  uint64_t step_of(const Call& c) const { return step < 0 ? 0 : static_cast<uint64_t>(*c.in<int64_t>(step)); }
};

}  // namespace winnow::detail
