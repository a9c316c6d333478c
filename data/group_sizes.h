// The `.query` file beside a table of graded rows, as LightGBM lays it out: one size a line, in order; the first size's
// rows are the first query, and so on.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace winnow {

// offsets [queries + 1] of the sizes. Blank lines and blanks around a number are passed over; a size may be 0.
// DataError "file:line:column: ...": not a whole number, or more than 2^31 - 1 rows in all.
std::vector<int64_t> parse_group_sizes(std::string_view text, const std::string& file);

}  // namespace winnow
