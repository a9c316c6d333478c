// The tokens that a masked language model expects in the masked places of a text.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "models/masked_lm.h"

namespace winnow {

struct MaskGuess {
  int32_t id = 0;
  std::string token;       // as in the vocabulary
  std::string text;        // the whole text with it, as the tokenizer decodes it (other masks stay)
  double probability = 0;  // softmax over the vocabulary
};

// For each mask token of the text ("[MASK]", as the tokenizer writes it), in order, the k likeliest tokens; equal ones
// by id. ConfigError: no mask in the text, more tokens than encoder().options().max_len.
std::vector<std::vector<MaskGuess>> fill_mask(const MaskedLm& model, std::string_view text, int64_t k);

}  // namespace winnow
