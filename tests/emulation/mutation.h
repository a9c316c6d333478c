// Compiled into a copy of the kernels by tests/emulation/mutation.py, never into the product. WN_MUTATION=K widens
// bound K by one or leaves wait K out; WN_MUTATION_TRACE=FILE writes which marks hold integers, and whether each was
// reached.
#pragma once
#include <type_traits>

#include "tests/mutation_marks.h"

namespace winnow_mutation {

// The checkers of device memory are not told of these.
template <int K>
__attribute__((noinline, no_sanitize("thread", "address", "undefined"))) inline bool reached() {
  (void)&Mark<K>::known;
  hit[K] = 1;
  return wanted == K;
}

template <int K, int kStep, class Left, class T>
inline T bound(T limit) {
  if constexpr (std::is_integral_v<T> && std::is_integral_v<std::decay_t<Left>> && !std::is_same_v<T, bool>)
    return reached<K>() ? static_cast<T>(limit + kStep) : limit;
  else
    return limit;
}

}  // namespace winnow_mutation
