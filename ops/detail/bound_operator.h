// A unary operator of ops/pointwise.def.h or a loss of ops/losses.def.h with its parameters, for every backend's loops.
#pragma once
#include "core/attrs.h"
#include "ops/pointwise.def.h"

namespace winnow::detail {

template <class Op>
constexpr size_t kParameterCount = Op::kParameters.size();

struct Parameters {
  std::array<double, 2> value{};
};

template <class Op>
Parameters parameters_of(const Attrs& attrs) {
  Parameters p;
  for (size_t i = 0; const pointwise::Parameter& parameter : Op::kParameters)
    p.value[i++] = attrs.number(parameter.name, parameter.fallback);
  return p;
}

// An operator with its parameters as values of T: f(x) and gradient(dy, v) of a unary one, f(x, label) and
// gradient(x, label) of a loss.
template <class Op, class T>
struct Bound {
  T first, second;
  explicit Bound(const Parameters& p) : first(static_cast<T>(p.value[0])), second(static_cast<T>(p.value[1])) {}
  template <class... V>
  WN_HD T f(V... v) const {
    if constexpr (kParameterCount<Op> == 0)
      return Op::f(v...);
    else if constexpr (kParameterCount<Op> == 1)
      return Op::f(v..., first);
    else
      return Op::f(v..., first, second);
  }
  template <class... V>
  WN_HD T gradient(V... v) const {
    if constexpr (kParameterCount<Op> == 0)
      return Op::gradient(v...);
    else if constexpr (kParameterCount<Op> == 1)
      return Op::gradient(v..., first);
    else
      return Op::gradient(v..., first, second);
  }
};

}  // namespace winnow::detail
