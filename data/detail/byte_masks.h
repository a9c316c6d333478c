// Which of 64 bytes are a given character, as bits.
#pragma once
#include <immintrin.h>

#include <cstdint>

namespace winnow::detail {

struct Bytes64 {
  __m256i low, high;
  explicit Bytes64(const char* p)
      : low(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))),
        high(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32))) {}
  uint64_t equal(char c) const {
    const __m256i wanted = _mm256_set1_epi8(c);
    const auto a = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted)));
    const auto b = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted)));
    return a | (uint64_t{b} << 32);
  }
};

inline uint64_t bits_below(unsigned n) { return n >= 64 ? ~uint64_t{0} : (uint64_t{1} << n) - 1; }

// Follows quoted cells through a text, 64 bytes after 64 bytes: the rule of CsvReader. A quote opens a cell when it is
// the first character of one; inside, a quote closes it unless another quote follows.
class QuoteState {
 public:
  QuoteState(const char* text, size_t size, char separator) : text_(text), size_(size), separator_(separator) {}

  // The bytes of the 64 at `base` that lie inside quotes (from the opening quote to before the closing one).
  uint64_t inside(size_t base, uint64_t quotes) {
    uint64_t mask = 0;
    unsigned from = 0;  // inside since
    while (quotes != 0) {
      const auto bit = static_cast<unsigned>(__builtin_ctzll(quotes));
      quotes &= quotes - 1;
      const size_t at = base + bit;
      if (at < skip_) continue;
      if (!inside_) {
        if (at == 0 || text_[at - 1] == separator_ || text_[at - 1] == '\n') inside_ = true, from = bit;
      } else if (at + 1 < size_ && text_[at + 1] == '"') {
        skip_ = at + 2;
      } else {
        inside_ = false;
        mask |= bits_below(bit) & ~bits_below(from);
      }
    }
    return inside_ ? mask | ~bits_below(from) : mask;
  }
  bool is_inside() const { return inside_; }

 private:
  const char* text_;
  size_t size_;
  char separator_;
  size_t skip_ = 0;  // quotes before this belong to a doubled one
  bool inside_ = false;
};

}  // namespace winnow::detail
