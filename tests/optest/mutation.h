// Compiled into a copy of ops/ by tests/optest/mutation.py, never into the product: every marked expression of a
// gradient goes through mutated<K>(), which scales it by 1.01 when the environment says WN_MUTATION=K.
// WN_MUTATION_TRACE=FILE writes the marked expressions that hold numbers or values, and whether each was reached.
#pragma once
#include <type_traits>

#include "tests/mutation_marks.h"

namespace winnow_mutation {

template <class T>
concept Recorded = requires(T v) {
  v.graph->apply("affine", {v}, {});
  v.spec().dtype;
};
template <class T>
concept Number = !std::is_integral_v<T> && !std::is_pointer_v<T> && !std::is_enum_v<T> && requires(T v) {
  T(v * 1.01f);
};

template <int K, class T>
auto mutated(T&& v) -> std::conditional_t<Recorded<std::decay_t<T>> || Number<std::decay_t<T>>, std::decay_t<T>, T> {
  using Plain = std::decay_t<T>;
  if constexpr (Recorded<Plain>) {
    (void)&Mark<K>::known;
    if (v.graph == nullptr || !is_float(v.spec().dtype)) {  // ids, offsets: nothing to scale
      hit[K] |= 2;
      return v;
    }
    hit[K] |= 1;
    return wanted == K ? v.graph->apply("affine", {v}, {{"scale", 1.01}, {"shift", 0.0}}) : v;
  } else if constexpr (Number<Plain>) {
    (void)&Mark<K>::known;
    hit[K] = 1;
    if (wanted != K) return v;
    if constexpr (std::is_arithmetic_v<Plain>)
      return static_cast<Plain>(static_cast<double>(v) * 1.01);
    else
      return Plain(v * 1.01f);
  } else {
    return static_cast<T&&>(v);
  }
}

}  // namespace winnow_mutation
