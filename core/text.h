// Small text helpers shared by messages.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace winnow {

// Levenshtein distance: insertions, deletions, substitutions.
int edit_distance(std::string_view a, std::string_view b);
// The candidate with the smallest edit distance to `word` (the first of equals); "" when there is none.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace winnow
