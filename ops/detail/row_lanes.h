#pragma once
#include <cstdint>

namespace winnow::detail {

// Lanes of a warp for a row of so many elements: a power of two up to 32.
inline unsigned lanes_of_row(int64_t elements) {
  unsigned lanes = 1;
  while (lanes < 32 && lanes < elements) lanes *= 2;
  return lanes;
}

}  // namespace winnow::detail
