// One update per unique row on a CUDA device, fused with the sum over its occurrences; for .cu files.
// Contract: ops/sparse_optimizers.h. Inputs: table, state.., unique_rows, starts, count, bag, coef, dy, lr, step,
// scale.
#pragma once
#include "ops/detail/device_segments.h"
#include "ops/detail/sparse_rules.h"

namespace winnow::cuda {

// What all rows of a step share: computed once, in double as on the host.
template <class Rule>
struct SparseStep {
  Rule rule;
  GradientTerms<float> terms;
};
template <class Rule>
__global__ void __launch_bounds__(1)
    set_up_sparse(RuleParams params, const float* lr, const int64_t* step, const float* scale, SparseStep<Rule>* out) {
  *out = {Rule(params, static_cast<double>(*lr), *step),
          GradientTerms<float>(params, static_cast<double>(*scale), Rule::kProximal)};
}

// Of a table [rows, dim] with state of its shape, or of [rows] where the rule has one state a row.
struct SparseTable {
  float *weight, *state0, *state1;
  int64_t rows;
};

// V columns of a row, with their state.
template <int V, class Rule>
struct RowPart {
  Pack<V> w, s0, s1;
  __device__ RowPart(const SparseTable& t, int64_t at) : w(load_vector<V>(t.weight + at)) {
    if constexpr (Rule::kStates > 0 && !Rule::kRowState) s0 = load_vector<V>(t.state0 + at);
    if constexpr (Rule::kStates > 1) s1 = load_vector<V>(t.state1 + at);
  }
  // g: after the terms
  __device__ void update(const Rule& rule, float factor, const Pack<V>& g) {
    for (int q = 0; q < V; ++q) {
      if constexpr (Rule::kRowState)
        w.v[q] -= factor * g.v[q];
      else if constexpr (Rule::kStates == 0)
        rule(g.v[q], w.v[q]);
      else if constexpr (Rule::kStates == 1)
        rule(g.v[q], w.v[q], s0.v[q]);
      else
        rule(g.v[q], w.v[q], s0.v[q], s1.v[q]);
    }
  }
  __device__ void store(const SparseTable& t, int64_t at) const {
    store_vector(t.weight + at, w);
    if constexpr (Rule::kStates > 0 && !Rule::kRowState) store_vector(t.state0 + at, s0);
    if constexpr (Rule::kStates > 1) store_vector(t.state1 + at, s1);
  }
};

// A group of lanes a unique row; bound by memory: dy, and each touched row and its state read and written, all of them
// scattered. touched: a bit for each row of the table; null: not wanted.
template <int V, class Rule>
__global__ void __launch_bounds__(256, 4)
    update_rows(Segments s, RowLanes lanes, LongSums sums, const SparseStep<Rule>* shared, SparseTable table,
                uint32_t* touched) {
  const SparseStep<Rule> step = *shared;
  const int64_t k_ = lanes.row();
  if (!std::isfinite(step.terms.scale) || k_ >= s.count()) return;
  const int k = static_cast<int>(k_);
  const int64_t row = s.rows[k];
  if (static_cast<uint64_t>(row) >= static_cast<uint64_t>(table.rows)) return;
  if (touched != nullptr && lanes.lane() == 0) atomicOr(&touched[row / 32], 1u << (row % 32));
  [[maybe_unused]] float factor = 0;
  if constexpr (Rule::kRowState) {
    float state = table.state0[row], squares = 0;
    for (int j = lanes.lane() * V; j < s.dim; j += V << lanes.bits) {
      const Pack<V> w = load_vector<V>(table.weight + row * s.dim + j), g = s.sum<V>(k, j, sums);
      for (int q = 0; q < V; ++q) {
        const float x = step.terms(g.v[q], w.v[q]);
        squares += x * x;
      }
    }
    for (int distance = lanes.lanes() / 2; distance > 0; distance /= 2)
      squares += __shfl_xor_sync(lanes.mask(), squares, distance);
    factor = step.rule.factor(squares, state, s.dim);
    __syncwarp(lanes.mask());  // every lane has read the state
    if (lanes.lane() == 0) table.state0[row] = state;
  }
  for (int j = lanes.lane() * V; j < s.dim; j += V << lanes.bits) {
    const int64_t at = row * s.dim + j;
    RowPart<V, Rule> part(table, at);
    Pack<V> g = s.sum<V>(k, j, sums);
    for (int q = 0; q < V; ++q) g.v[q] = step.terms(g.v[q], part.w.v[q]);
    part.update(step.rule, factor, g);
    part.store(table, at);
  }
}

template <class Rule>
constexpr size_t kSparseStepBytes = (sizeof(SparseStep<Rule>) + 63) / 64 * 64;

// Scratch: SparseStep, sums of long segments.
template <class Rule>
size_t sparse_scratch_bytes(const NodeSpec& n) {
  const size_t positions = 1 + Rule::kStates;
  return kSparseStepBytes<Rule> + long_sums_bytes(n.in[positions].shape.numel(), n.in[0].shape[1]);
}
template <class Rule>
SparseTable sparse_table(const Call& c) {
  return {c.mut<float>(0), Rule::kStates > 0 ? c.mut<float>(1) : nullptr, Rule::kStates > 1 ? c.mut<float>(2) : nullptr,
          c.in_spec(0).shape[0]};
}
template <class Rule>
void update_touched_rows(const Call& c, void* scratch, uint32_t* touched) {
  constexpr int kScalars = 1 + Rule::kStates + 6;
  auto* const step = static_cast<SparseStep<Rule>*>(scratch);
  run(c, set_up_sparse<Rule>, 1, 1, 0, c.state<RuleParams>(), c.in<float>(kScalars), c.in<int64_t>(kScalars + 1),
      c.in<float>(kScalars + 2), step);
  const Segments s = segments_of(c, 1 + Rule::kStates);
  if (s.positions == 0 || s.dim == 0) return;
  const LongSums sums = sum_long_segments(c, s, static_cast<char*>(scratch) + kSparseStepBytes<Rule>);
  visit_pack(s.dim, [&]<int V>() {
    const RowLanes lanes(s.dim, V);
    run(c, update_rows<V, Rule>, lanes.grid(s.positions, 256), 256, 0, s, lanes, sums, step, sparse_table<Rule>(c),
        touched);
  });
}

}  // namespace winnow::cuda
