#pragma once
#include <cstdint>

#include "core/math.h"

namespace winnow::detail {

// Whether a table of `rows` rows has that one: an index outside is "missing".
WN_HD bool within(int64_t index, int64_t rows) { return static_cast<uint64_t>(index) < static_cast<uint64_t>(rows); }

}  // namespace winnow::detail
