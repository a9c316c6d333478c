// A tensor as [outer, width] bytes, and parts of it along an axis that lie side by side in each row.
#pragma once
#include <vector>

#include "core/op.h"

namespace winnow::detail {

struct RowPieces {
  int64_t outer = 1, width = 0;  // bytes of a row of the whole
  std::vector<int64_t> widths;   // bytes of a row of each piece
};
inline RowPieces row_pieces(const TensorSpec& whole, const std::vector<TensorSpec>& pieces, int64_t axis) {
  const int a = static_cast<int>(axis < 0 ? axis + whole.shape.rank() : axis);
  const int64_t inner = whole.shape.inner(a) * static_cast<int64_t>(size_of(whole.dtype));
  RowPieces s{whole.shape.outer(a), whole.shape[a] * inner, {}};
  for (const TensorSpec& piece : pieces) s.widths.push_back(piece.shape[a] * inner);
  return s;
}

// [offset, offset + piece) of each row is the slice.
struct RowSlice {
  int64_t outer, width, offset, piece;
};
inline RowSlice row_slice(const TensorSpec& whole, const TensorSpec& piece, const Attrs& attrs) {
  const int64_t axis = attrs.integer("axis"), begin = attrs.integer("begin");
  const int a = static_cast<int>(axis < 0 ? axis + whole.shape.rank() : axis);
  const int64_t inner = whole.shape.inner(a) * static_cast<int64_t>(size_of(whole.dtype));
  return {whole.shape.outer(a), whole.shape[a] * inner, (begin < 0 ? begin + whole.shape[a] : begin) * inner,
          piece.shape[a] * inner};
}

}  // namespace winnow::detail
