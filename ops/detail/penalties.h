// f and its derivative for each penalty of ops/regularize.h.
#pragma once
#include "core/math.h"

namespace winnow::detail {

struct L2 {
  static constexpr const char* kName = "l2_penalty";
  template <class T>
  WN_HD static T f(T x) {
    return T(0.5) * x * x;
  }
  template <class T>
  WN_HD static T df(T x) {
    return x;
  }
};
struct L1 {
  static constexpr const char* kName = "l1_penalty";
  template <class T>
  WN_HD static T f(T x) {
    return math::abs(x);
  }
  template <class T>
  WN_HD static T df(T x) {  // NaN of NaN
    return x > T(0) ? T(1) : x < T(0) ? T(-1) : x;
  }
};

}  // namespace winnow::detail
