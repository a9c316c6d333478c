// Reductions over axes, and broadcasting, their inverse.
//
//   axes      list of axes, negative from the end; empty: all axes. Each at most once.
//   keepdims  keeps reduced axes with extent 1; otherwise they are removed (all axes: the result has rank 0)
//
// Sums are taken in blocks fixed by the shape, so their bits do not depend on the number of threads.
// Element types f32 and f64. Errors: ShapeError for an axis out of range or named twice; mean, max and min also when
// they would have to reduce over no elements.
#pragma once
#include <vector>

#include "core/graph.h"

namespace winnow {

using AxisList = std::vector<int64_t>;

Value sum(Value x, const AxisList& axes = {}, bool keepdims = false, Loc loc = Loc::current());
Value mean(Value x, const AxisList& axes = {}, bool keepdims = false, Loc loc = Loc::current());
// NaN when any reduced element is NaN. The gradient goes to the first extremal element in row-major order.
Value max(Value x, const AxisList& axes = {}, bool keepdims = false, Loc loc = Loc::current());
Value min(Value x, const AxisList& axes = {}, bool keepdims = false, Loc loc = Loc::current());

// x summed over the axes along which `shape` broadcasts to x.shape(): the gradient of broadcasting. Returns x itself
// when the shapes agree. ShapeError unless `shape` broadcasts to x.shape().
Value sum_to(Value x, const Shape& shape, Loc loc = Loc::current());

// x repeated along missing axes and axes of extent 1 (NumPy rules). Any element type. Returns x itself when the shapes
// agree. ShapeError unless x.shape() broadcasts to `shape`.
Value broadcast_to(Value x, const Shape& shape, Loc loc = Loc::current());

}  // namespace winnow
