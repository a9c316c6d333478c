// Small helpers for names and messages: suggestions, quoting of foreign text, UTF-8 validity.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace winnow {

// Edits that turn a into b: insertions, deletions, substitutions and swaps of neighbours count 1 each (the optimal
// string alignment distance). O(|a| |b|).
int edit_distance(std::string_view a, std::string_view b);

// The candidate with the smallest edit distance to word, the first of equals; "" when none is close
// (more than a third of the longer word, at least one edit, would have to change) or the word is over 64 bytes.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

// "; did you mean 'x'?", or "" when no candidate is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

// 'text' for a message: control bytes and quotes as \xNN, cut to `limit` bytes with "...".
std::string quoted(std::string_view text, size_t limit = 60);

// The size of a text without the line ends behind its last line: \n or \r\n each, and a \r at the very end.
size_t size_without_line_ends(std::string_view text);

// Well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, surrogates or values over U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace winnow
