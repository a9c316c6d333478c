// The function that a node of a binary operator or of its gradient computes from its operands.
#pragma once
#include "core/math.h"

namespace winnow::detail {

template <class Op>
struct Forward {
  template <class T>
  WN_HD static T f(T a, T b) {
    return Op::f(a, b);
  }
};
template <class Op>
struct ByA {
  template <class T>
  WN_HD static T f(T dy, T a, T b) {
    return Op::gradient_a(dy, a, b);
  }
};
template <class Op>
struct ByB {
  template <class T>
  WN_HD static T f(T dy, T a, T b) {
    return Op::gradient_b(dy, a, b);
  }
};

}  // namespace winnow::detail
