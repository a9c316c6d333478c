// A unary operator of ops/pointwise.def.h with its parameters, for every backend's loops.
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

// An operator with its parameters as values of T.
template <class Op, class T>
struct Bound {
  T first, second;
  explicit Bound(const Parameters& p) : first(static_cast<T>(p.value[0])), second(static_cast<T>(p.value[1])) {}
  WN_HD T f(T x) const {
    if constexpr (kParameterCount<Op> == 0)
      return Op::f(x);
    else if constexpr (kParameterCount<Op> == 1)
      return Op::f(x, first);
    else
      return Op::f(x, first, second);
  }
  WN_HD T gradient(T dy, T v) const {
    if constexpr (kParameterCount<Op> == 0)
      return Op::gradient(dy, v);
    else if constexpr (kParameterCount<Op> == 1)
      return Op::gradient(dy, v, first);
    else
      return Op::gradient(dy, v, first, second);
  }
};

}  // namespace winnow::detail
