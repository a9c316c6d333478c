// Attr padding of jagged_pad.
#pragma once
#include <cstring>

#include "core/op.h"

namespace winnow::detail {

template <class T>
uint64_t bits_of(double x) {
  const T element = static_cast<T>(x);
  uint64_t bits = 0;
  std::memcpy(&bits, &element, sizeof element);
  return bits;
}
// As an element of the values: its bits, the lowest ones of the result.
inline uint64_t padding_bits(const NodeSpec& node) {
  const double padding = node.attrs.number("padding", 0);
  switch (node.in[0].dtype) {
    case DType::F32: return bits_of<float>(padding);
    case DType::F64: return bits_of<double>(padding);
    case DType::I32: return bits_of<int32_t>(padding);
    default: return bits_of<int64_t>(padding);
  }
}

}  // namespace winnow::detail
