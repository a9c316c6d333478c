// How the cell of a feature with ids is cut: the same for counting a vocabulary and for encoding.
#pragma once
#include <algorithm>
#include <limits>
#include <string_view>

#include "data/detail/words.h"
#include "data/schema.h"
#include "data/text_normalise.h"

namespace winnow::detail {

// f(part) for parts [skip, skip + most) that are not empty; returns how many parts were walked over.
template <class F>
int64_t cut(std::string_view cell, std::string_view separator, int64_t skip, int64_t most, F&& f) {
  int64_t parts = 0;
  for (size_t begin = 0; begin <= cell.size() && parts - skip < most;) {
    const size_t end = std::min(cell.find(separator, begin), cell.size());
    if (end > begin && parts++ >= skip) f(cell.substr(begin, end - begin));
    begin = end + separator.size();
  }
  return parts;
}

template <class F>
int64_t cut_words(std::string_view cell, int64_t most, F&& f) {
  std::string text;
  normalise_text(cell, {.letter_case = TextCase::Fold, .invalid = InvalidUtf8::Replace}, text);
  std::string_view rest = text;
  std::string word;
  int64_t words = 0;
  for (; words < most && next_word(rest, word); ++words) f(std::string_view(word));
  return words;
}

// f(part) for each value of the cell: none when it is missing and there is no fill_na.
template <class F>
void for_each_part(const FeatureSpec& spec, std::string_view cell, F&& f) {
  const auto each = [&](std::string_view text) -> int64_t {
    switch (spec.type) {
      case FeatureType::Multi: return cut(text, spec.separator, 0, spec.max_len, f);
      case FeatureType::Text: return cut_words(text, spec.max_len, f);
      case FeatureType::Sequence: {
        const int64_t all = cut(text, spec.separator, 0, std::numeric_limits<int64_t>::max(), [](std::string_view) {});
        return cut(text, spec.separator, std::max<int64_t>(0, all - spec.max_len), spec.max_len, f);
      }
      default: break;
    }
    if (!text.empty()) f(text);
    return text.empty() ? 0 : 1;
  };
  if (each(cell) == 0 && spec.fill_na) each(*spec.fill_na);
}

}  // namespace winnow::detail
