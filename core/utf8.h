// Decoding and writing one character.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace winnow {

constexpr uint32_t kReplacement = 0xFFFD;

// The character at p < end; returns its length. Ill-formed input: U+FFFD and the length of the maximal subpart (Unicode
// 15, section 3.9, as Python and browsers decode).
inline int decode_utf8(const uint8_t* p, const uint8_t* end, uint32_t& c) {
  const uint8_t a = p[0];
  const ptrdiff_t n = end - p;
  c = kReplacement;
  if (a < 0x80) {
    c = a;
    return 1;
  }
  if (a < 0xC2 || a > 0xF4) return 1;
  const auto continues = [&](int i) { return i < n && (p[i] & 0xC0) == 0x80; };
  if (a < 0xE0) {
    if (!continues(1)) return 1;
    c = (a & 31u) << 6 | (p[1] & 63u);
    return 2;
  }
  const uint8_t low = a == 0xE0 ? 0xA0 : a == 0xF0 ? 0x90 : 0x80, high = a == 0xED ? 0x9F : a == 0xF4 ? 0x8F : 0xBF;
  if (n < 2 || p[1] < low || p[1] > high) return 1;
  if (!continues(2)) return 2;
  if (a < 0xF0) {
    c = (a & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
    return 3;
  }
  if (!continues(3)) return 3;
  c = (a & 7u) << 18 | (p[1] & 63u) << 12 | (p[2] & 63u) << 6 | (p[3] & 63u);
  return 4;
}

// Writes up to 4 bytes; returns how many.
inline int write_utf8(uint32_t c, uint8_t* out) {
  const auto tail = [c](int shift) { return static_cast<uint8_t>(0x80 | (c >> shift & 63)); };
  if (c < 0x80) {
    out[0] = static_cast<uint8_t>(c);
    return 1;
  }
  if (c < 0x800) {
    out[0] = static_cast<uint8_t>(0xC0 | c >> 6), out[1] = tail(0);
    return 2;
  }
  if (c < 0x10000) {
    out[0] = static_cast<uint8_t>(0xE0 | c >> 12), out[1] = tail(6), out[2] = tail(0);
    return 3;
  }
  out[0] = static_cast<uint8_t>(0xF0 | c >> 18), out[1] = tail(12), out[2] = tail(6), out[3] = tail(0);
  return 4;
}

inline void append_utf8(std::string& out, uint32_t c) {
  uint8_t bytes[4];
  const int size = write_utf8(c, bytes);
  for (int i = 0; i < size; ++i) out += static_cast<char>(bytes[i]);
}

}  // namespace winnow
