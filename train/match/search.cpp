#include "train/match/search.h"

#include <algorithm>

#include "core/cpu/sgemm.h"
#include "core/parallel.h"

namespace winnow {
namespace {

constexpr int64_t kQueries = 128, kItems = 4096;  // of a block of scores: 2 MiB

// scores [m, n] = queries [m, d] items [n, d]^T
class Product {
 public:
  void operator()(const float* queries, int64_t m, const float* items, int64_t n, int64_t d, float* scores) {
    cpu::SgemmProblem p;
    p.m = static_cast<size_t>(m);
    p.n = static_cast<size_t>(n);
    p.k = p.lda = p.ldb = static_cast<size_t>(d);
    p.trans_b = true;
    p.a = queries;
    p.b = items;
    p.c = scores;
    p.ldc = static_cast<size_t>(n);
    const auto bytes = static_cast<int64_t>(cpu::sgemm_workspace_bytes(p, {}));
    if (!workspace_.defined() || workspace_.numel() < bytes)
      workspace_ = Tensor({DType::U8, {std::max<int64_t>(bytes, 64)}});
    cpu::sgemm(p, {}, workspace_.raw());
  }

 private:
  Tensor workspace_;
};

bool better(const Neighbour& a, const Neighbour& b) {
  return a.cosine > b.cosine || (a.cosine == b.cosine && a.item < b.item);
}

// `best` is a heap whose front is the worst of the k best so far.
void offer(std::vector<Neighbour>& best, size_t k, const Neighbour& found, int64_t query, const MayFind& may_find) {
  if (best.size() == k && !better(found, best.front())) return;
  if (may_find && !may_find(query, found.item)) return;
  if (best.size() == k) {
    std::ranges::pop_heap(best, better);
    best.pop_back();
  }
  best.push_back(found);
  std::ranges::push_heap(best, better);
}

}  // namespace

std::vector<std::vector<Neighbour>> nearest(const Tensor& queries, const Tensor& items, int64_t k,
                                            const MayFind& may_find) {
  WN_CHECK(queries.shape().rank() == 2 && items.shape().rank() == 2 && queries.shape()[1] == items.shape()[1],
           ShapeError, "nearest: queries {} and items {} are not [Q, D] and [N, D]", queries.shape().str(),
           items.shape().str());
  WN_CHECK(k >= 1, ConfigError, "nearest: k must be at least 1, not {}", k);
  const int64_t rows = queries.shape()[0], count = items.shape()[0], width = queries.shape()[1];
  std::vector<std::vector<Neighbour>> found(static_cast<size_t>(rows));
  Product product;
  Tensor scores({DType::F32, {kQueries, std::max<int64_t>(1, std::min(kItems, count))}});
  for (int64_t q = 0; q < rows; q += kQueries)
    for (int64_t i = 0; i < count; i += kItems) {
      const int64_t m = std::min(kQueries, rows - q), n = std::min(kItems, count - i);
      product(queries.data<float>() + q * width, m, items.data<float>() + i * width, n, width, scores.data<float>());
      parallel_tasks(m, [&](int64_t r) {
        const float* row = scores.data<float>() + r * n;
        std::vector<Neighbour>& best = found[static_cast<size_t>(q + r)];
        for (int64_t j = 0; j < n; ++j)
          offer(best, static_cast<size_t>(k), {static_cast<int32_t>(i + j), row[j]}, q + r, may_find);
      });
    }
  for (auto& best : found) std::ranges::sort_heap(best, better);
  return found;
}

void similarity(const Tensor& queries, int64_t begin, int64_t end, const Tensor& items, float* scores) {
  const int64_t width = queries.shape()[1];
  Product product;
  product(queries.data<float>() + begin * width, end - begin, items.data<float>(), items.shape()[0], width, scores);
}

}  // namespace winnow
