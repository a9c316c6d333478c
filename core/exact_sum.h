// ExactSum: sum of doubles without rounding, so the result does not depend on the order of the addends or of merges.
// A fixed-point accumulator over the whole exponent range (Kulisch 1971; Neal 2015, "Fast exact summation using small
// and large superaccumulators"): 66 digits of 32 bits in 64-bit words. value() is the exact sum rounded once.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>

namespace winnow {

class ExactSum {
 public:
  void add(double x) {
    const auto bits = __builtin_bit_cast(uint64_t, x);
    const int exponent = static_cast<int>((bits >> 52) & 0x7ff);
    if (exponent == 0x7ff) {  // infinities and NaN: their sum does not depend on the order either
      special_ += x;
      return;
    }
    const uint64_t mantissa = (bits & ((uint64_t{1} << 52) - 1)) | (exponent > 0 ? uint64_t{1} << 52 : 0);
    const int position = exponent > 0 ? exponent : 1;  // x = mantissa * 2^(position - 1075)
    const auto digit = static_cast<size_t>(position >> 5);
    const int shift = position & 31;
    const uint64_t upper = mantissa >> (32 - shift);  // bits 32 and up of mantissa << shift
    const auto low = static_cast<int64_t>((mantissa << shift) & 0xffffffffu);
    const auto middle = static_cast<int64_t>(upper & 0xffffffffu), high = static_cast<int64_t>(upper >> 32);
    const int64_t sign = (bits >> 63) != 0 ? -1 : 1;
    digits_[digit] += sign * low;
    digits_[digit + 1] += sign * middle;
    digits_[digit + 2] += sign * high;
    if (++pending_ == kMaxPending) normalise();
  }

  void merge(const ExactSum& other) {
    ExactSum right = other;
    right.normalise();
    normalise();
    for (size_t i = 0; i < digits_.size(); ++i) digits_[i] += right.digits_[i];
    special_ += right.special_;
    normalise();
  }

  double value() const {
    if (special_ != 0) return special_;  // true for NaN too
    ExactSum sum = *this;
    sum.normalise();
    const bool negative = sum.digits_.back() < 0;
    if (negative) {
      for (int64_t& d : sum.digits_) d = -d;
      sum.normalise();
    }
    const double magnitude = sum.round();
    return negative ? -magnitude : magnitude;
  }

 private:
  static constexpr int kMaxPending = 1 << 30;  // a digit grows by less than 2^32 an addend

  // Every digit but the last into [0, 2^32): the one representation of this sum.
  void normalise() {
    int64_t carry = 0;
    for (size_t i = 0; i + 1 < digits_.size(); ++i) {
      const int64_t t = digits_[i] + carry;
      digits_[i] = t & 0xffffffff;
      carry = t >> 32;
    }
    digits_.back() += carry;
    pending_ = 0;
  }

  // Normalised, not negative: the leading 64 bits with a sticky bit for the rest, rounded to nearest even.
  double round() const {
    size_t top = digits_.size() - 1;
    while (top > 2 && digits_[top] == 0) --top;
    __extension__ using Wide = unsigned __int128;
    Wide lead = static_cast<Wide>(digits_[top]) << 64 | static_cast<Wide>(digits_[top - 1]) << 32 |
                static_cast<Wide>(digits_[top - 2]);
    for (size_t i = 0; i + 2 < top; ++i) {
      if (digits_[i] != 0) {
        lead |= 1;
        break;
      }
    }
    return std::ldexp(static_cast<double>(lead), static_cast<int>(top - 2) * 32 - 1075);
  }

  std::array<int64_t, 66> digits_{};
  double special_ = 0;
  int pending_ = 0;
};

}  // namespace winnow
