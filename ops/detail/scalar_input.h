// A rank-0 input of either float type: learning rate, clip scale.
#pragma once
#include "core/op.h"

namespace winnow {

inline double scalar_at(const Call& c, int i) {
  return c.in_spec(i).dtype == DType::F64 ? *c.in<double>(i) : static_cast<double>(*c.in<float>(i));
}

}  // namespace winnow
