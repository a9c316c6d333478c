#pragma once
#include "core/dtype.h"

namespace winnow::detail {

// Calls f.template operator()<U>() with an unsigned integer of the element's size: copies do not care about the type.
template <class F>
void visit_size(DType t, F&& f) {
  switch (size_of(t)) {
    case 1: return f.template operator()<uint8_t>();
    case 2: return f.template operator()<uint16_t>();
    case 4: return f.template operator()<uint32_t>();
    default: return f.template operator()<uint64_t>();
  }
}

}  // namespace winnow::detail
