// Random vectors for tests of search.
#pragma once
#include <cmath>
#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

#include "core/rng.h"
#include "serve/retrieval/index.h"

namespace winnow {

inline std::vector<float> uniform_vectors(int64_t n, int64_t d, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> x(static_cast<size_t>(n * d));
  for (float& v : x) v = static_cast<float>(rng.normal());
  return x;
}
// Around so many centres, the same ones for every seed.
inline std::vector<float> clustered_vectors(int64_t n, int64_t d, int64_t centres, uint64_t seed) {
  const auto c = uniform_vectors(centres, d, 99);
  auto x = uniform_vectors(n, d, seed);
  Rng rng(seed, 1);
  for (int64_t r = 0; r < n; ++r) {
    const auto at = static_cast<int64_t>(rng.below(static_cast<uint64_t>(centres)));
    for (int64_t i = 0; i < d; ++i)
      x[static_cast<size_t>(r * d + i)] = 0.3f * x[static_cast<size_t>(r * d + i)] + c[static_cast<size_t>(at * d + i)];
  }
  return x;
}

inline std::vector<int64_t> numbered(int64_t n, int64_t first = 0) {
  std::vector<int64_t> ids(static_cast<size_t>(n));
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

inline std::vector<Found> search_all(const VectorIndex& index, const std::vector<float>& queries, int64_t k,
                                     const Filter& filter = {}) {
  std::vector<Found> out(queries.size() / static_cast<size_t>(index.width()) * static_cast<size_t>(k));
  index.search(queries, k, filter, out);
  return out;
}

// The share of the ids in `expected` that `found` has too, over all queries.
inline double recall(const std::vector<Found>& found, const std::vector<Found>& expected, int64_t k) {
  int64_t hits = 0, all = 0;
  for (size_t q = 0; q < expected.size(); q += static_cast<size_t>(k)) {
    std::set<int64_t> ids;
    for (size_t i = q; i < q + static_cast<size_t>(k); ++i) ids.insert(found[i].id);
    for (size_t i = q; i < q + static_cast<size_t>(k); ++i) {
      if (expected[i].id < 0) continue;
      ++all;
      hits += ids.contains(expected[i].id) ? 1 : 0;
    }
  }
  return static_cast<double>(hits) / static_cast<double>(all);
}

}  // namespace winnow
