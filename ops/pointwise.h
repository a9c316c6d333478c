// Unary pointwise operators: y has the shape and type of x (f32 or f64). Formulas, derivatives and sources are in
// ops/pointwise.def.h; each is registered under the name of its function here, its gradient as <name>_grad.
// Errors: DTypeError for other element types.
#pragma once
#include "core/graph.h"
#include "ops/binary.h"

namespace winnow {

Value relu(Value x, Loc loc = Loc::current());
Value leaky_relu(Value x, double slope = 0.01, Loc loc = Loc::current());
Value gelu(Value x, Loc loc = Loc::current());       // with the normal distribution function
Value gelu_tanh(Value x, Loc loc = Loc::current());  // its approximation by tanh
Value silu(Value x, Loc loc = Loc::current());
Value sigmoid(Value x, Loc loc = Loc::current());
Value tanh(Value x, Loc loc = Loc::current());
Value softplus(Value x, Loc loc = Loc::current());
Value exp(Value x, Loc loc = Loc::current());
Value log(Value x, Loc loc = Loc::current());
Value sqrt(Value x, Loc loc = Loc::current());
Value abs(Value x, Loc loc = Loc::current());
Value neg(Value x, Loc loc = Loc::current());
Value square(Value x, Loc loc = Loc::current());
Value clamp(Value x, double low, double high, Loc loc = Loc::current());      // ShapeError unless low <= high
Value affine(Value x, double scale, double shift, Loc loc = Loc::current());  // scale * x + shift
inline Value scale(Value x, double factor, Loc loc = Loc::current()) { return affine(x, factor, 0, loc); }

}  // namespace winnow
