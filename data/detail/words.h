// Words of a normalised text, for bags of words.
#pragma once
#include <string>
#include <string_view>

namespace winnow::detail {

// Cuts the first word off `text` and writes it to `word`; false at the end. A word is a run of letters and digits, or a
// single ideograph or kana (Chinese and Japanese are written without spaces); everything else separates. Broken UTF-8
// separates too.
bool next_word(std::string_view& text, std::string& word);

}  // namespace winnow::detail
