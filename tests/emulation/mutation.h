// Compiled into a copy of the kernels by tests/emulation/mutation.py, never into the product. WN_MUTATION=K widens
// bound K by one or leaves wait K out; WN_MUTATION_TRACE=FILE writes which marks hold integers, and whether each was
// reached.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <type_traits>

namespace winnow_mutation {

constexpr int kMost = 1 << 14;
inline unsigned char listed[kMost], hit[kMost];
inline const int wanted = std::getenv("WN_MUTATION") == nullptr ? -1 : std::atoi(std::getenv("WN_MUTATION"));

struct Trace {
  ~Trace() {
    const char* path = std::getenv("WN_MUTATION_TRACE");
    FILE* file = path == nullptr ? nullptr : std::fopen(path, "w");
    if (file == nullptr) return;
    for (int k = 0; k < kMost; ++k)
      if (listed[k] != 0) std::fprintf(file, "%d %d\n", k, hit[k]);
    std::fclose(file);
  }
};
inline const Trace trace;

template <int K>
struct Mark {
  static inline const bool known = (listed[K] = 1, true);
};

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
