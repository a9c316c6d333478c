// Terms that mean the same, as far as an encoder puts them near each other.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/text_encoder.h"

namespace winnow {

struct SynonymOptions {
  int64_t k = 10;          // nearest terms that are looked at
  double threshold = 0.7;  // of the cosine, at least
  bool mutual = true;      // both terms are among the k nearest of the other; false: one direction is enough
};

struct Synonym {
  int32_t term = 0, other = 0;  // positions in the terms
  double cosine = 0;
  bool mutual = false;
};

// For each term those of its k nearest other terms by the cosine of pooled vectors (equal ones by position) that pass,
// nearest first; a pair stands with each of its terms. ConfigError: fewer than two terms, or one that occurs twice.
std::vector<Synonym> find_synonyms(const TextEncoder& encoder, std::span<const std::string> terms,
                                   const SynonymOptions& options);

}  // namespace winnow
