// Numbers of cells, without the general parser where the text is plain digits.
#pragma once
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>

#include "data/timestamp.h"

namespace winnow::detail {

// Eight digits as the bytes of a word, first digit lowest: their value (three multiplications, each of which joins
// neighbours).
inline uint32_t eight_digits(uint64_t word) {
  word -= 0x3030303030303030;
  word = (word * 10) + (word >> 8);
  constexpr uint64_t kMask = 0x000000FF000000FF, kFirst = 100 + (uint64_t{1000000} << 32),
                     kSecond = 1 + (uint64_t{10000} << 32);
  return static_cast<uint32_t>((((word & kMask) * kFirst) + (((word >> 16) & kMask) * kSecond)) >> 32);
}

inline bool are_digits(uint64_t word) {
  return ((word & 0xF0F0F0F0F0F0F0F0) | (((word + 0x0606060606060606) & 0xF0F0F0F0F0F0F0F0) >> 4)) ==
         0x3333333333333333;
}

// Up to eight digits as such a word, zeros in front.
inline uint64_t digits_word(const char* p, size_t n) {
  if (n == 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    return word;
  }
  const auto unused = static_cast<unsigned>(8 * (8 - n));
  uint64_t word = 0;
  if (n >= 4) {
    uint32_t first, last;
    std::memcpy(&first, p, 4);
    std::memcpy(&last, p + n - 4, 4);
    word = (uint64_t{first} << unused) | (uint64_t{last} << 32);
  } else {
    for (size_t i = 0; i < n; ++i) word |= uint64_t{static_cast<unsigned char>(p[i])} << (unused + 8 * i);
  }
  return word | (0x3030303030303030 & ((uint64_t{1} << unused) - 1));
}

// 1 to 19 digits.
inline bool parse_digits(const char* p, size_t n, uint64_t& value) {
  const size_t head = n % 8;
  value = 0;
  if (head > 0) {
    const uint64_t word = digits_word(p, head);
    if (!are_digits(word)) return false;
    value = eight_digits(word);
  }
  for (size_t at = head; at < n; at += 8) {
    const uint64_t word = digits_word(p + at, 8);
    if (!are_digits(word)) return false;
    value = value * 100000000 + eight_digits(word);
  }
  return true;
}

// The whole text as -?[0-9]+ in the range of int64, its least value excepted.
inline bool parse_int64(std::string_view text, int64_t& value) {
  const bool minus = !text.empty() && text[0] == '-';
  if (minus) text.remove_prefix(1);
  while (text.size() > 19 && text[0] == '0') text.remove_prefix(1);
  uint64_t magnitude;
  if (text.empty() || text.size() > 19 || !parse_digits(text.data(), text.size(), magnitude)) return false;
  if (magnitude > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return false;
  value = minus ? -static_cast<int64_t>(magnitude) : static_cast<int64_t>(magnitude);
  return true;
}

// As parse_number(), the same bits. A decimal of at most 15 digits is its digits, exact in a double, divided by a power
// of ten that is exact too: one rounding, the correct one (Clinger 1990, section 3).
inline bool parse_double(std::string_view text, double& value) {
  static constexpr uint64_t kPowers[] = {1,
                                         10,
                                         100,
                                         1000,
                                         10000,
                                         100000,
                                         1000000,
                                         10000000,
                                         100000000,
                                         1000000000,
                                         10000000000,
                                         100000000000,
                                         1000000000000,
                                         10000000000000,
                                         100000000000000,
                                         1000000000000000};
  const bool minus = !text.empty() && text[0] == '-';
  const std::string_view digits = text.substr(minus ? 1 : 0);
  if (digits.size() <= 16 && !digits.empty()) {
    size_t point = 0;
    while (point < digits.size() && digits[point] != '.') ++point;
    const size_t fraction = point < digits.size() ? digits.size() - point - 1 : 0;
    uint64_t whole = 0, part = 0;
    if (point > 0 && point + fraction <= 15 && parse_digits(digits.data(), point, whole) &&
        (fraction == 0 ? point == digits.size() : parse_digits(digits.data() + point + 1, fraction, part))) {
      const double x = static_cast<double>(whole * kPowers[fraction] + part) / static_cast<double>(kPowers[fraction]);
      value = minus ? -x : x;
      return true;
    }
  }
  const auto x = parse_number(text);
  if (x) value = *x;
  return x.has_value();
}

}  // namespace winnow::detail
