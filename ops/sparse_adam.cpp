// Adam on every row of a table, the sparse gradient merged in; contract in ops/sparse_optimizers.h.
#include "ops/detail/sparse_rules.h"
#include "ops/detail/sparse_samples.h"
#include "ops/detail/sparse_update.h"
#include "ops/sparse_optimizers.h"

namespace winnow {
namespace {

using sparse::ExactAdam;
using Rule = ExactAdam<float>;

constexpr int64_t kBlockElements = 512;  // blocks are fixed by the shape: an element always takes the same code path

bool all_zero(const float* m, const float* v, int64_t n) {
  uint32_t bits = 0;
  for (int64_t j = 0; j < n; ++j) bits |= __builtin_bit_cast(uint32_t, m[j]) | __builtin_bit_cast(uint32_t, v[j]);
  return (bits & 0x7fffffffu) == 0;
}

void step_block(const Rule& rule, float* __restrict w, float* __restrict m, float* __restrict v,
                const float* __restrict g, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) rule(g[j], w[j], m[j], v[j]);
}

// Blocks [begin, end) of `block` rows each. k runs along the unique rows.
template <class W>
void update_blocks(const SparseCall<Rule, float, W>& c, const Rule& rule, int64_t block, int64_t begin, int64_t end) {
  const auto& s = c.segments;
  const int64_t d = s.dim;
  const GradientTerms<float> terms(c.params, c.scale, false);
  const bool every_block = terms.penalised;
  alignas(64) float g[kBlockElements + kMaxRowDim], w[kBlockElements + kMaxRowDim];
  std::fill_n(g, block * d, 0.f);
  int64_t k = std::lower_bound(s.rows, s.rows + s.count, begin * block) - s.rows;
  DyPrefetcher<float> ahead(s, k, s.count);
  for (int64_t q = begin; q < end; ++q) {
    const int64_t first = q * block, last = std::min(c.table_rows, first + block), n = (last - first) * d;
    float *m = c.state0(first), *v = c.state1(first);
    const bool hit = k < s.count && s.rows[k] < last;
    if (!hit && !every_block && rule.can_rest && all_zero(m, v, n)) continue;
    for (; k < s.count && s.rows[k] < last; ++k) {
      ahead.template advance<0>(k);
      if (s.rows[k] >= first) s.template sum<0>(k, g + (s.rows[k] - first) * d);
    }
    W* row = c.table + first * d;
    if constexpr (std::is_same_v<W, float>) {
      if (hit || every_block) apply_terms<0>(terms, row, g, n);
      step_block(rule, row, m, v, g, n);
    } else {
      for (int64_t j = 0; j < n; ++j) w[j] = static_cast<float>(row[j]);
      if (hit || every_block) apply_terms<0>(terms, w, g, n);
      step_block(rule, w, m, v, g, n);
      store_rounded(c.params, c.step, w, row, n, first * d);
    }
    if (hit || every_block) std::fill_n(g, n, 0.f);
  }
}

void run_streaming(const Call& call) {
  const auto run = [&]<class W>() {
    const SparseCall<Rule, float, W> c(call);
    if (!std::isfinite(c.scale)) return;
    const Rule rule(c.params, c.lr, c.step);
    const int64_t block = std::max<int64_t>(1, kBlockElements / std::max<int64_t>(1, c.segments.dim));
    parallel_for((c.table_rows + block - 1) / block, 16,
                 [&](int64_t begin, int64_t end) { update_blocks<W>(c, rule, block, begin, end); });
  };
  if (call.in_spec(0).dtype == DType::BF16) return run.template operator()<bf16>();
  run.template operator()<float>();
}

Cost cost(const NodeSpec& n) {
  Cost c{static_cast<double>(n.in[0].shape.numel()) * 15, 0};
  for (int i = 0; i < 3; ++i) c.bytes += 2 * static_cast<double>(n.in[static_cast<size_t>(i)].bytes());
  c.bytes += static_cast<double>(n.in[8].bytes());
  return c;
}

void samples(Samples& s) {
  const Attrs plain{{"beta1", 0.9}, {"beta2", 0.999}, {"eps", 1e-8}};
  add_sparse_samples(s, 2, false, plain);
  auto resting = sparse_case(2, false, 300);  // rows of zero moments in a block without an occurrence
  resting[1].fill = resting[2].fill = Fill::integers(0, 0);
  s.add({"rows at rest", resting, plain});
  Attrs decayed = plain;
  decayed.set("weight_decay", 0.1).set("l2", 0.01);
  s.add({"decoupled decay and l2 on every row", sparse_case(2, false, 24), decayed});
}

}  // namespace

void register_sparse_adam(Registry& r) {
  r.add({.name = "sparse_adam",
         .doc = "Adam on every row of the table; rows without an occurrence have gradient l2 * w + l1 * sign(w)",
         .infer = [](Infer& in) { infer_sparse(in, 2, false); },
         .no_grad = "updates variables in place",
         .cost = cost,
         .samples = samples,
         .tolerance = {.ulp = 16, .sum = 16},
         .kernels =
             {{.name = "streaming", .reject = sparse_single_only, .prepare = prepare_sparse, .run = run_streaming},
              {.name = "reference", .prepare = prepare_sparse, .run = run_sparse_reference<ExactAdam<double>, true>}},
         .mutates = {0, 1, 2}});
}

}  // namespace winnow
