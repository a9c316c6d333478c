#include "data/detail/words.h"

#include <array>
#include <cstdint>
#include <utility>

namespace winnow::detail {
namespace {

struct Character {
  uint32_t code = 0;
  size_t bytes = 1;
};

// The first character of a text that is not empty; a byte that begins none has code 0.
Character decode(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC2 ? 1 : 0;
  if (more == 0 || first > 0xF4) return {};
  uint32_t code = first & (0x3Fu >> more);
  for (size_t i = 1; i <= more; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3F);
  }
  return {code, more + 1};
}

template <size_t N>
bool within(uint32_t code, const std::array<std::pair<uint32_t, uint32_t>, N>& ranges) {
  for (const auto& [first, last] : ranges)
    if (code >= first && code <= last) return true;
  return false;
}

// Hiragana and Katakana, ideographs and their extensions. Korean has spaces between words.
bool stands_alone(uint32_t code) {
  static constexpr std::array<std::pair<uint32_t, uint32_t>, 6> kRanges = {
      {{0x3041, 0x30FF}, {0x31F0, 0x31FF}, {0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xF900, 0xFAFF}, {0x20000, 0x3FFFF}}};
  return within(code, kRanges);
}

// Blocks of punctuation, symbols, spaces and pictures beyond ASCII.
bool separates(uint32_t code) {
  if (code < 0x80) {
    const uint32_t lower = code | 0x20;
    return !((code >= '0' && code <= '9') || (lower >= 'a' && lower <= 'z'));
  }
  static constexpr std::array<std::pair<uint32_t, uint32_t>, 13> kRanges = {{{0x80, 0xA9},
                                                                             {0xAB, 0xB4},
                                                                             {0xB6, 0xB9},
                                                                             {0xBB, 0xBF},
                                                                             {0xD7, 0xD7},
                                                                             {0xF7, 0xF7},
                                                                             {0x2000, 0x2BFF},
                                                                             {0x3000, 0x3004},
                                                                             {0x3008, 0x3020},
                                                                             {0xFE10, 0xFE6F},
                                                                             {0xFF00, 0xFF0F},
                                                                             {0xFFF0, 0xFFFF},
                                                                             {0x1F000, 0x1FAFF}}};
  return within(code, kRanges);
}

}  // namespace

bool next_word(std::string_view& text, std::string& word) {
  word.clear();
  while (!text.empty()) {
    const Character c = decode(text);
    const bool alone = stands_alone(c.code), separator = !alone && (c.code == 0 || separates(c.code));
    if (!word.empty() && (alone || separator)) return true;
    if (!separator) word += text.substr(0, c.bytes);
    text.remove_prefix(c.bytes);
    if (alone) return true;
  }
  return !word.empty();
}

}  // namespace winnow::detail
