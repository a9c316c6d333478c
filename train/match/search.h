// Exact search for the nearest vectors (core/cpu/topk.h).
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "core/tensor.h"

namespace winnow {

struct Neighbour {
  int32_t item = -1;
  float cosine = 0;
};

// Whether an item may be found for a query; called from several threads, for items that would be among the best so far.
using MayFind = std::function<bool(int64_t query, int32_t item)>;

// For each query its k items of largest dot product, best first, equal ones by lower number; fewer where fewer may be
// found. queries [Q, D], items [N, D]. The same for any number of threads. Memory: Q k neighbours.
std::vector<std::vector<Neighbour>> nearest(const Tensor& queries, const Tensor& items, int64_t k,
                                            const MayFind& may_find = nullptr);

// scores [Q, N] of queries [begin, end) with all items.
void similarity(const Tensor& queries, int64_t begin, int64_t end, const Tensor& items, float* scores);

}  // namespace winnow
