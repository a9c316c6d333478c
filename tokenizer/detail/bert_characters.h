// What BERT's basic tokenization makes of each character.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace winnow::detail {

struct BertCharacterOptions {
  bool lower_case = true, strip_accents = true, split_cjk = true;
};

// Kinds. Sequence: several letters and punctuation marks, see sequence(). Hangul: a syllable that NFD takes apart.
enum class BertKind : uint8_t { Drop, Space, Letter, Punctuation, Cjk, Sequence, Hangul };

class BertCharacters {
 public:
  explicit BertCharacters(const BertCharacterOptions& options);

  struct Character {
    BertKind kind;
    uint32_t code;  // what it becomes: a code point, or the index of a sequence
  };
  Character operator[](uint32_t c) const {
    if (c >= kEnd) return {BertKind::Drop, c};
    const uint32_t entry = pool_[blocks_[c >> kBlockBits] * kBlock + (c & (kBlock - 1))];
    return {static_cast<BertKind>(entry >> kKindShift), (c + entry) & kPayload};
  }
  // ASCII: 0 dropped, 1 space, 3 punctuation, else the letter it becomes.
  uint8_t ascii(uint8_t c) const { return ascii_[c]; }
  // f(character) for each of a sequence: kind Letter or Punctuation.
  template <class F>
  void for_each(uint32_t c, F&& f) const {
    const uint32_t at = pool_[blocks_[c >> kBlockBits] * kBlock + (c & (kBlock - 1))] & kPayload;
    for (uint32_t i = at + 1; i <= at + sequences_[at]; ++i)
      f(Character{static_cast<BertKind>(sequences_[i] >> kKindShift), sequences_[i] & kPayload});
  }

 private:
  static constexpr uint32_t kEnd = 0x110000, kBlockBits = 7, kBlock = 1u << kBlockBits, kKindShift = 29,
                            kPayload = (1u << kKindShift) - 1;
  void map_to(std::vector<uint32_t>& table, const std::vector<uint32_t>& plain, uint32_t c, const uint32_t* to,
              uint32_t count);
  void compress(const std::vector<uint32_t>& table);
  // Entries hold the kind and the difference to what the character becomes, so that blocks of plain letters are equal
  // and stored once.
  std::vector<uint16_t> blocks_;
  std::vector<uint32_t> pool_, sequences_;
  std::array<uint8_t, 128> ascii_{};
};

// The table of these options, built once.
const BertCharacters& bert_characters(const BertCharacterOptions& options);

}  // namespace winnow::detail
