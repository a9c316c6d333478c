// Arithmetic of the synthetic store: the same bits on any machine. Only + - * / and sqrt, which IEEE 754 rounds
// exactly; the files that include this one are compiled without contraction to fma (CMakeLists.txt), and nothing here
// calls libm. Relative error of exp and log below 1e-15.
#pragma once
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "core/rng.h"

namespace winnow::store {

inline double exp(double x) {
  x = x < -700 ? -700 : x > 700 ? 700 : x;
  const double scaled = x * 1.4426950408889634;
  const auto n = static_cast<int64_t>(scaled + (scaled < 0 ? -0.5 : 0.5));
  const auto k = static_cast<double>(n);
  const double r = (x - k * 0x1.62e42feep-1) - k * 0x1.a39ef35793c76p-33;  // ln 2 in two parts, the first exact times k
  double sum = 1;
  for (int i = 14; i > 0; --i) sum = 1 + sum * r / i;
  return sum * std::bit_cast<double>(static_cast<uint64_t>(n + 1023) << 52);
}

// Of a positive normal number: 2 atanh((m - 1) / (m + 1)) + exponent ln 2, m in [2/3, 4/3).
inline double log(double x) {
  const auto bits = std::bit_cast<uint64_t>(x);
  auto exponent = static_cast<int64_t>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0xfffffffffffffull) | 0x3ff0000000000000ull);
  if (m >= 4.0 / 3) {
    m /= 2;
    ++exponent;
  }
  const double f = (m - 1) / (m + 1), s = f * f;
  double sum = 0;
  for (int i = 23; i >= 1; i -= 2) sum = 1.0 / i + s * sum;
  return static_cast<double>(exponent) * 0.6931471805599453 + 2 * f * sum;
}

inline double sigmoid(double x) { return 1 / (1 + exp(-x)); }

// What a random number decides; each kind of thing has a Philox stream, each thing its step of it, so that no number
// depends on how many others were drawn or by which thread.
enum class Stream : uint64_t { World = 1, User, Item, Query, Project, Block, Sample, Review, Question, Text, Dirt };

// A statement draws at most once from each of its operands: C++ leaves their order open.
class Draws {
 public:
  Draws(uint64_t seed, Stream stream, uint64_t step = 0)
      : philox_{seed, 0x73746f7265 + static_cast<uint64_t>(stream)}, step_(step) {}
  uint32_t bits() {
    if (used_ == 4) {
      block_ = philox_(counter_++, step_);
      used_ = 0;
    }
    return block_[used_++];
  }
  double uniform() { return to_unit(bits()); }  // (0, 1)
  bool chance(double p) { return uniform() < p; }
  size_t below(size_t n) { return static_cast<size_t>((uint64_t{bits()} * n) >> 32); }  // [0, n), n < 2^32
  // Marsaglia's polar method (1964): no sine or cosine.
  double normal() {
    for (;;) {
      const double u = 2 * uniform() - 1, v = 2 * uniform() - 1, s = u * u + v * v;
      if (s < 1) return u * std::sqrt(-2 * log(s) / s);
    }
  }

 private:
  Philox philox_;
  uint64_t step_, counter_ = 0;
  std::array<uint32_t, 4> block_{};
  size_t used_ = 4;
};

}  // namespace winnow::store
