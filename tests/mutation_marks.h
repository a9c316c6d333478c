// What is compiled into mutated copies of the tree, beside tests/optest/mutation.h or tests/emulation/mutation.h: which
// mark WN_MUTATION=K turns on, and the trace that WN_MUTATION_TRACE=FILE writes, a line "mark hit" for each.
#pragma once
#include <cstdio>
#include <cstdlib>

namespace winnow_mutation {

constexpr int kMost = 1 << 16;
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

}  // namespace winnow_mutation
