// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"): counter based, so
// element i of stream (seed, stream, step) is the same whatever the tiling, thread count or device.
#pragma once
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <utility>

#include "core/math.h"

namespace winnow {

struct Philox {
  uint64_t seed = 0;
  uint64_t stream = 0;

  WN_HD std::array<uint32_t, 4> operator()(uint64_t counter, uint64_t step = 0) const {
    // the stream is folded into the key; the 128-bit counter is (counter, step)
    uint32_t c0 = static_cast<uint32_t>(counter), c1 = static_cast<uint32_t>(counter >> 32);
    uint32_t c2 = static_cast<uint32_t>(step),
             c3 = static_cast<uint32_t>(step >> 32) ^ static_cast<uint32_t>(stream >> 32);
    uint32_t k0 = static_cast<uint32_t>(seed) ^ (static_cast<uint32_t>(stream) * 0x85EBCA6Bu);
    uint32_t k1 = static_cast<uint32_t>(seed >> 32) ^ static_cast<uint32_t>(stream);
    for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
      const uint64_t p0 = uint64_t{c0} * 0xD2511F53u, p1 = uint64_t{c2} * 0xCD9E8D57u;
      c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
      c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
      c1 = static_cast<uint32_t>(p1);
      c3 = static_cast<uint32_t>(p0);
    }
    return {c0, c1, c2, c3};
  }
};

WN_HD double to_unit(uint32_t bits) { return (static_cast<double>(bits) + 0.5) * 0x1p-32; }  // (0, 1)

// A sequential generator over one Philox stream, for host-side code: initialisation, shuffles, sampling.
class Rng {
 public:
  explicit Rng(uint64_t seed, uint64_t stream = 0) : philox_{seed, stream} {}
  uint32_t bits() {
    if (used_ == 4) {
      block_ = philox_(counter_++);
      used_ = 0;
    }
    return block_[static_cast<size_t>(used_++)];
  }
  double uniform() { return to_unit(bits()); }
  __extension__ typedef unsigned __int128 Uint128;
  uint64_t below(uint64_t n) {  // uniform in [0, n), n > 0; 64-bit multiply, bias below 2^-32 for n < 2^32
    const uint64_t r = (uint64_t{bits()} << 32) | bits();
    return static_cast<uint64_t>((static_cast<Uint128>(r) * n) >> 64);
  }
  double normal() {
    const double u = uniform(), v = uniform();
    return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
  }
  // A random permutation (Fisher and Yates; Durstenfeld 1964).
  template <class Values>
  void shuffle(Values&& values) {
    for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }
  // Position in the stream, for exact resume.
  uint64_t position() const { return counter_ * 4 + static_cast<uint64_t>(used_) - 4; }

 private:
  Philox philox_;
  uint64_t counter_ = 0;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
};

}  // namespace winnow
