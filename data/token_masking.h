// Which tokens a masked language model has to predict (Devlin et al. 2019, section 3.1), drawn anew for each epoch.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/config.h"
#include "tokenizer/tokenizer.h"

namespace winnow {

struct MaskingOptions {
  double probability = 0.15;  // of a row's tokens, special ones not counted
  // What stands in a chosen place: [MASK], a random ordinary token, or (the rest) the token itself.
  double mask = 0.8, random = 0.1;
  // Words are chosen as a whole ("whole word masking", github.com/google-research/bert, May 2019; Cui et al. 2019,
  // "Pre-training with whole word masking for Chinese BERT"). Written with blanks, a word is a token and the tokens
  // that continue it: ## in WordPiece, no leading U+2581 in SentencePiece; punctuation stands alone. Chinese has no
  // marks of words: a run of ideographs is cut into spans of random numbers of characters, as SpanBERT draws them
  // (Joshi et al. 2020, section 3.1, there p = 0.2 and at most 10). false: each token by itself.
  bool whole_words = true;
  enum class Spans : uint8_t { Geometric, Uniform };
  Spans spans = Spans::Geometric;  // length l with probability ~ (1 - p)^(l - 1), or each alike; l = 1 .. span_max
  // These give 1, 2, 3, 4 characters with .46, .28, .17, .10: close to Chinese words, and to the 40, 30, 20, 10 % of
  // MacBERT (Cui et al. 2020).
  double span_p = 0.4;
  int span_max = 4;
};
// Keys: probability, mask, random, whole_words, and with whole_words spans, span_p (geometric), span_max.
MaskingOptions read_masking_options(const ConfigNode& masking);

struct MaskedToken {
  int64_t place = 0;  // in the batch
  int32_t label = 0;  // the token
  int32_t input = 0;  // what stands in its place
};

// A function of (options, seed, epoch, row, the row's ids) alone: a resumed training draws the same.
class TokenMasker {
 public:
  // ConfigError: the tokenizer has no mask token, or no ordinary one.
  TokenMasker(const Tokenizer& tokenizer, const MaskingOptions& options, uint64_t seed);

  // Appends the chosen tokens of a row, by ascending place; first_place is that of its first token. Their number is N
  // on average, N = max(1, probability * ordinary tokens), and but for words that do not fit N rounded up or down at
  // random: units are drawn until N is reached, and one that is larger than what is left, r, is taken with probability
  // r / size. Each of a unit's tokens draws by itself what stands in its place, as BERT does. No ordinary token: none.
  void append(std::span<const int32_t> ids, int64_t epoch, int64_t row, int64_t first_place,
              std::vector<MaskedToken>& out);
  double expected(std::span<const int32_t> ids) const;  // N
  bool is_special(int32_t id) const { return kinds_[static_cast<size_t>(id)].special; }

 private:
  struct Kind {
    bool special = false, begins = true, ideographs = false;  // begins a word
    uint8_t characters = 1;
  };
  struct Unit {
    int32_t begin, size;
  };
  class Draws;
  static Kind kind_of(const Tokenizer& tokenizer, int32_t id);
  void find_units(std::span<const int32_t> ids, Draws& draws);
  int span_length(double u) const;

  MaskingOptions options_;
  uint64_t seed_;
  int32_t mask_;
  std::vector<Kind> kinds_;        // of each id
  std::vector<int32_t> ordinary_;  // ids that may stand for others
  std::vector<double> lengths_;    // cumulative distribution of span lengths
  std::vector<Unit> units_;        // of the row at hand
  std::vector<uint8_t> chosen_;
};

}  // namespace winnow
