// Operators that move elements without changing them. reshape, broadcast_to (ops/reduce.h), transpose, concat, slice,
// split and gather take any element type; scatter_add f32 and f64. Extents may be 0.
#pragma once
#include <vector>

#include "core/graph.h"

namespace winnow {

// x under another shape of as many elements; shares storage, never runs. One extent may be -1: it is resolved here.
// ShapeError when the sizes differ.
Value reshape(Value x, const std::vector<int64_t>& shape, Loc loc = Loc::current());

// y[i_0, ..] = x with axis k of y being axis perm[k] of x. ShapeError unless perm is a permutation of the axes.
Value transpose(Value x, const std::vector<int64_t>& perm, Loc loc = Loc::current());

// x_0, x_1, .. side by side along `axis` (negative from the end); the other extents and the types agree.
Value concat(const std::vector<Value>& x, int64_t axis, Loc loc = Loc::current());

// x[.., begin:end, ..] along `axis`; begin and end count from the end when negative, 0 <= begin <= end <= extent after.
Value slice(Value x, int64_t axis, int64_t begin, int64_t end, Loc loc = Loc::current());

// The inverse of concat: pieces of `sizes` along `axis`; the sizes add up to the extent.
std::vector<Value> split(Value x, int64_t axis, const std::vector<int64_t>& sizes, Loc loc = Loc::current());

// y[i..] = x[indices[i..]]: x [R, d..], indices i64 of any shape, y indices.shape + [d..]. An index outside [0, R) is
// "missing": a row of zeros, and no gradient. x must not be a row-sparse table (ops/embedding_bag.h looks those up).
Value gather(Value x, Value indices, Loc loc = Loc::current());

// y [rows, d..] with y[r] = sum of x[i] over the i with indices[i] = r, added in the order of i: x indices.shape +
// [d..]. Indices outside [0, rows) are left out.
Value scatter_add(Value x, Value indices, int64_t rows, Loc loc = Loc::current());

// y[i.., c] = indices[i..] == c ? 1 : 0 in f32 [.., depth]; an index outside [0, depth) gives zeros. No gradient.
Value one_hot(Value indices, int64_t depth, Loc loc = Loc::current());

}  // namespace winnow
