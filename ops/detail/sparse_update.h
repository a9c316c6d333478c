// One update per unique row, fused with the sum over its occurrences. Contract: ops/sparse_optimizers.h.
// Inputs: table, state.., unique_rows, starts, count, bag, coef, dy, lr, step, scale.
#pragma once
#include <algorithm>
#include <cmath>

#include "core/rng.h"
#include "ops/detail/optimizer_rules.h"
#include "ops/detail/scalar_input.h"
#include "ops/detail/segments.h"
#include "ops/detail/sparse_rules.h"

namespace winnow {

// states: number of state tensors; row_state: they are [R] instead of [R, D].
inline void infer_sparse(Infer& in, int states, bool row_state) {
  in.expect_inputs(1 + states + kSegmentInputs + 3);
  in.expect_dtype(0, {DType::F32, DType::BF16, DType::F64});
  in.expect_rank(0, 2);
  infer_rule(in);
  const DType type = rows::arithmetic_type(in.dtype(0));
  for (int i = 1; i <= states; ++i) {
    in.expect_dtype(i, {type});
    in.expect_shape(i, row_state ? Shape{in.shape(0)[0]} : in.shape(0));
  }
  const int segments = 1 + states, dy = segments + kSegmentInputs - 1;
  infer_segments(in, segments);
  in.expect_dtype(dy, {type});
  in.check(in.shape(dy)[1] == in.shape(0)[1], "dy {} and table {} differ in width", in.shape(dy).str(),
           in.shape(0).str());
  for (const int i : {dy + 1, dy + 3}) {
    in.expect_dtype(i, {DType::F32, DType::F64});
    in.expect_shape(i, {});
  }
  in.expect_dtype(dy + 2, {DType::I64});
  in.expect_shape(dy + 2, {});
  in.check(!in.attrs().flag("stochastic_rounding") || in.dtype(0) != DType::F32,
           "stochastic rounding is for bf16 rows; this table is {}", in.in(0).str());
}

// Out of line: inlined, it keeps the compiler from vectorising the common case around it.
template <class T>
[[gnu::noinline]] void clip_and_penalise(const GradientTerms<T>& terms, const T* __restrict w, T* __restrict g,
                                         int64_t n) {
  if (terms.clipped)
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) g[j] = terms.clip_of(g[j]);
  if (terms.penalised)
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) g[j] += terms.penalty(w[j]);
}
template <int D, class T>
void apply_terms(const GradientTerms<T>& terms, const T* __restrict w, T* __restrict g, int64_t dim) {
  const int64_t n = D > 0 ? D : dim;
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) g[j] *= terms.scale;
  if (terms.clipped || terms.penalised) clip_and_penalise(terms, w, g, n);
}

// Writes updated weights back into rows stored as W. first: index of the first element in the table.
template <class T>
void store_rounded(const RuleParams& p, int64_t step, const T* w, bf16* row, int64_t n, int64_t first) {
  if (!p.stochastic_rounding) {
    for (int64_t j = 0; j < n; ++j) row[j] = bf16(static_cast<float>(w[j]));
    return;
  }
  const Philox philox{p.seed, p.stream};
  std::array<uint32_t, 4> random{};
  for (int64_t j = 0; j < n; ++j) {  // eight 16-bit numbers from one counter
    const int64_t e = first + j;
    if (j == 0 || e % 8 == 0) random = philox(static_cast<uint64_t>(e / 8), static_cast<uint64_t>(step));
    const auto bits = __builtin_bit_cast(uint32_t, static_cast<float>(w[j]));
    const uint32_t add = random[static_cast<size_t>(e % 8 / 2)] >> (e % 2 * 16) & 0xffff;
    const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
    row[j] = bf16(__builtin_bit_cast(float, finite ? (bits + add) & 0xffff0000u : bits));
  }
}

template <int D, class Rule, class T>
void apply_rule(const Rule& rule, T* __restrict w, [[maybe_unused]] T* __restrict s0, [[maybe_unused]] T* __restrict s1,
                const T* __restrict g, int64_t dim) {
  const int64_t d = D > 0 ? D : dim;
  if constexpr (Rule::kRowState) {
    T squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t j = 0; j < d; ++j) squares += g[j] * g[j];
    const T factor = rule.factor(squares, *s0, d);
    for (int64_t j = 0; j < d; ++j) w[j] -= factor * g[j];
  } else if constexpr (Rule::kStates == 0) {
#pragma omp simd
    for (int64_t j = 0; j < d; ++j) rule(g[j], w[j]);
  } else if constexpr (Rule::kStates == 1) {
#pragma omp simd
    for (int64_t j = 0; j < d; ++j) rule(g[j], w[j], s0[j]);
  } else {
#pragma omp simd
    for (int64_t j = 0; j < d; ++j) rule(g[j], w[j], s0[j], s1[j]);
  }
}

// Tables, state and segments of one call. T: arithmetic and state, W: rows.
template <class Rule, class T, class W>
struct SparseCall {
  static constexpr int kStates = Rule::kStates, kScalars = 1 + kStates + kSegmentInputs;
  const RuleParams& params;
  SegmentData<T> segments;
  W* table;
  T *s0, *s1;
  double lr, scale;
  int64_t step, table_rows;

  explicit SparseCall(const Call& c)
      : params(c.state<RuleParams>()),
        segments(c, 1 + kStates),
        table(c.mut<W>(0)),
        s0(kStates > 0 ? c.mut<T>(1) : nullptr),
        s1(kStates > 1 ? c.mut<T>(2) : nullptr),
        lr(scalar_at(c, kScalars)),
        scale(scalar_at(c, kScalars + 2)),
        step(*c.in<int64_t>(kScalars + 1)),
        table_rows(c.in_spec(0).shape[0]) {}
  bool has_row(int64_t row) const { return static_cast<uint64_t>(row) < static_cast<uint64_t>(table_rows); }
  int64_t state_dim() const { return Rule::kRowState ? 1 : segments.dim; }
  T* state0(int64_t row) const { return kStates > 0 ? s0 + row * state_dim() : nullptr; }
  T* state1(int64_t row) const { return kStates > 1 ? s1 + row * state_dim() : nullptr; }
  void prefetch(int64_t row) const {
    rows::prefetch_write(table + row * segments.dim, static_cast<size_t>(segments.dim) * sizeof(W));
    if constexpr (kStates > 0) rows::prefetch_write(state0(row), static_cast<size_t>(state_dim()) * sizeof(T));
    if constexpr (kStates > 1) rows::prefetch_write(state1(row), static_cast<size_t>(state_dim()) * sizeof(T));
  }
};

template <class Rule, int D, class W>
void update_rows(const SparseCall<Rule, float, W>& c, const Rule& rule, int64_t begin, int64_t end) {
  const auto& s = c.segments;
  const int64_t d = D > 0 ? D : s.dim;
  const GradientTerms<float> terms(c.params, c.scale, Rule::kProximal);
  alignas(64) float g[D > 0 ? D : kMaxRowDim] = {};
  DyPrefetcher<float> ahead(s, begin, end);
  for (int64_t k = begin; k < std::min(begin + rows::kAhead, end); ++k) c.prefetch(s.rows[k]);
  for (int64_t k = begin; k < end; ++k) {
    ahead.template advance<D>(k);
    if (k + rows::kAhead < end) c.prefetch(s.rows[k + rows::kAhead]);
    const int64_t r = s.rows[k];
    if (!c.has_row(r)) continue;
    W* row = c.table + r * d;
    s.template sum<D>(k, g);
    if constexpr (std::is_same_v<W, float>) {
      apply_terms<D>(terms, row, g, d);
      apply_rule<D>(rule, row, c.state0(r), c.state1(r), g, d);
    } else {
      alignas(64) float w[D > 0 ? D : kMaxRowDim] = {};
      for (int64_t j = 0; j < d; ++j) w[j] = static_cast<float>(row[j]);
      apply_terms<D>(terms, w, g, d);
      apply_rule<D>(rule, w, c.state0(r), c.state1(r), g, d);
      store_rounded(c.params, c.step, w, row, d, r * d);
    }
  }
}

template <class Rule>
void run_sparse_fused(const Call& call) {
  const auto run = [&]<class W>() {
    const SparseCall<Rule, float, W> c(call);
    if (!std::isfinite(c.scale)) return;
    const Rule rule(c.params, c.lr, c.step);
    rows::visit_dim(c.segments.dim, [&]<int D>() {
      parallel_segments(c.segments, [&](int64_t begin, int64_t end) {
        if (begin < end) update_rows<Rule, D, W>(c, rule, begin, end);
      });
    });
  };
  if (call.in_spec(0).dtype == DType::BF16) return run.template operator()<bf16>();
  run.template operator()<float>();
}

// Everything of row r in double. g: the summed gradient.
template <class Rule, class T, class W>
void update_row_in_double(const SparseCall<Rule, T, W>& c, const Rule& rule, int64_t r, double* g) {
  const int64_t d = c.segments.dim, sd = c.state_dim();
  double w[kMaxRowDim] = {}, s0[kMaxRowDim] = {}, s1[kMaxRowDim] = {};
  W* row = c.table + r * d;
  for (int64_t j = 0; j < d; ++j) w[j] = static_cast<double>(static_cast<T>(row[j]));
  for (int64_t j = 0; j < sd && Rule::kStates > 0; ++j) s0[j] = static_cast<double>(c.state0(r)[j]);
  for (int64_t j = 0; j < sd && Rule::kStates > 1; ++j) s1[j] = static_cast<double>(c.state1(r)[j]);
  apply_terms<0>(GradientTerms<double>(c.params, c.scale, Rule::kProximal), w, g, d);
  apply_rule<0>(rule, w, s0, s1, g, d);
  if constexpr (std::is_same_v<W, bf16>)
    store_rounded(c.params, c.step, w, row, d, r * d);
  else
    for (int64_t j = 0; j < d; ++j) row[j] = static_cast<W>(w[j]);
  for (int64_t j = 0; j < sd && Rule::kStates > 0; ++j) c.state0(r)[j] = static_cast<T>(s0[j]);
  for (int64_t j = 0; j < sd && Rule::kStates > 1; ++j) c.state1(r)[j] = static_cast<T>(s1[j]);
}

// every_row: rows without an occurrence are updated too, with a gradient of zero.
template <class Rule, bool every_row = false>
void run_sparse_reference(const Call& call) {
  rows::visit_rows(call.in_spec(0).dtype, call.spec->op->name, [&]<class T, class W>() {
    const SparseCall<Rule, T, W> c(call);
    if (!std::isfinite(c.scale)) return;
    const Rule rule(c.params, c.lr, c.step);
    double g[kMaxRowDim] = {};
    int64_t k = 0;
    const int64_t all = every_row ? c.table_rows : c.segments.count;
    for (int64_t i = 0; i < all; ++i) {
      const bool touched = !every_row || (k < c.segments.count && c.segments.rows[k] == i);
      std::fill_n(g, c.segments.dim, 0.0);
      if (touched) c.segments.template sum<0>(k, g);
      const int64_t row = every_row ? i : c.segments.rows[k];
      if (c.has_row(row)) update_row_in_double(c, rule, row, g);
      k += touched;
    }
  });
}

inline const char* sparse_single_only(const NodeSpec& n, const DeviceInfo&) {
  return n.in[0].dtype == DType::F64 ? "f64 runs on the reference" : nullptr;
}
inline void prepare_sparse(const NodeSpec& n, Prepare& p) { p.state<RuleParams>(n.attrs); }

// The rows move in memory once per touched row; occurrences bring dy.
inline Cost cost_sparse(const NodeSpec& n) {
  const int states = static_cast<int>(n.in.size()) - 1 - kSegmentInputs - 3;
  const auto& dy = n.in[static_cast<size_t>(states + kSegmentInputs)];
  const double ids = static_cast<double>(n.in[static_cast<size_t>(1 + states)].shape.numel());
  const double dim = static_cast<double>(n.in[0].shape[1]);
  return {ids * dim * (2 + 8), static_cast<double>(dy.bytes()) + ids * (24 + dim * 8 * (1 + states))};
}

}  // namespace winnow
