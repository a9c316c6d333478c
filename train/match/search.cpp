#include "train/match/search.h"

#include <algorithm>

#include "core/cpu/row_codes.h"
#include "core/cpu/sgemm.h"
#include "core/cpu/topk.h"

namespace winnow {
namespace {

constexpr int64_t kQueries = 256;  // of a step, whose results are kept twice; from so many on codes pay

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

}  // namespace

std::vector<std::vector<Neighbour>> nearest(const Tensor& queries, const Tensor& items, int64_t k,
                                            const MayFind& may_find) {
  WN_CHECK(queries.shape().rank() == 2 && items.shape().rank() == 2 && queries.shape()[1] == items.shape()[1],
           ShapeError, "nearest: queries {} and items {} are not [Q, D] and [N, D]", queries.shape().str(),
           items.shape().str());
  WN_CHECK(k >= 1, ConfigError, "nearest: k must be at least 1, not {}", k);
  const int64_t rows = queries.shape()[0], count = items.shape()[0], width = queries.shape()[1];
  std::vector<std::vector<Neighbour>> found(static_cast<size_t>(rows));
  const int64_t most = std::min(k, count);
  if (most == 0) return found;
  std::vector<cpu::ScoredRow> best(static_cast<size_t>(std::min(kQueries, rows) * most));
  cpu::RowCodes codes(width);
  if (rows >= kQueries && count >= kQueries) codes.encode(items.data<float>(), 0, count);
  for (int64_t q = 0; q < rows; q += kQueries) {
    cpu::TopkProblem problem{queries.data<float>() + q * width,
                             std::min(kQueries, rows - q),
                             items.data<float>(),
                             count,
                             width,
                             most,
                             nullptr,
                             {},
                             codes.rows() > 0 ? &codes : nullptr};
    if (may_find) problem.may_find = [&](int64_t query, int32_t row) { return may_find(q + query, row); };
    cpu::topk(problem, best.data());
    for (int64_t i = 0; i < problem.count * most; ++i)
      if (const cpu::ScoredRow& r = best[static_cast<size_t>(i)]; r.row >= 0)
        found[static_cast<size_t>(q + i / most)].push_back({r.row, r.score});
  }
  return found;
}

void similarity(const Tensor& queries, int64_t begin, int64_t end, const Tensor& items, float* scores) {
  const int64_t width = queries.shape()[1];
  Product product;
  product(queries.data<float>() + begin * width, end - begin, items.data<float>(), items.shape()[0], width, scores);
}

}  // namespace winnow
