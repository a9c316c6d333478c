// How much work makes a parallel loop worth its start (a few microseconds).
#pragma once
#include <algorithm>
#include <cstdint>

namespace winnow::detail {

inline constexpr int64_t kGrainElements = 16384;

// Items per thread at least, for items that touch `elements` each.
inline int64_t grain(int64_t elements) { return std::max<int64_t>(1, kGrainElements / std::max<int64_t>(1, elements)); }

// Blocks of rows whose partial sums are added in block order: a function of the shape only, at most 64 of at least 64.
inline int64_t rows_per_block(int64_t rows) { return std::max<int64_t>(64, (rows + 63) / 64); }
inline int64_t row_blocks(int64_t rows) {
  return rows == 0 ? 0 : (rows + rows_per_block(rows) - 1) / rows_per_block(rows);
}

}  // namespace winnow::detail
