// Adam on every row of a table: the touched rows as the other sparse optimizers do, each marked by a bit, then one pass
// over the rest. Bound by memory: the table and both moments, of which rows at rest are only read.
#include "ops/detail/device_sparse.h"

namespace winnow {
namespace {

using cuda::RowLanes;
using Rule = sparse::ExactAdam<float>;

constexpr unsigned kThreads = 256;

template <int V>
__global__ void __launch_bounds__(kThreads) update_rest(RowLanes lanes, const cuda::SparseStep<Rule>* shared,
                                                        cuda::SparseTable table, const uint32_t* touched) {
  const cuda::SparseStep<Rule> step = *shared;
  const int64_t row = lanes.row();
  if (!std::isfinite(step.terms.scale) || row >= table.rows || (touched[row / 32] >> (row % 32) & 1) != 0) return;
  const bool can_rest = step.rule.can_rest && !step.terms.penalised;
  for (int j = lanes.lane() * V; j < lanes.dim; j += V << lanes.bits) {
    const int64_t at = row * lanes.dim + j;
    if (can_rest) {
      const cuda::Pack<V> m = cuda::load_vector<V>(table.state0 + at), v = cuda::load_vector<V>(table.state1 + at);
      bool rests = true;
      for (int q = 0; q < V; ++q) rests &= m.v[q] == 0 && v.v[q] == 0;
      if (rests) continue;
    }
    cuda::RowPart<V, Rule> part(table, at);
    cuda::Pack<V> g;
    for (int q = 0; q < V; ++q) g.v[q] = step.terms(0.0f, part.w.v[q]);
    part.update(step.rule, 0, g);
    part.store(table, at);
  }
}

// Scratch: a bit for each row of the table, then what the touched rows want.
size_t bits_bytes(int64_t rows) { return static_cast<size_t>((rows + 511) / 512 * 64); }

void prepare(const NodeSpec& n, Prepare& p) {
  p.state<RuleParams>(n.attrs);
  p.scratch(bits_bytes(n.in[0].shape[0]) + cuda::sparse_scratch_bytes<Rule>(n));
}
void run(const Call& c) {
  const cuda::SparseTable table = cuda::sparse_table<Rule>(c);
  const int64_t dim = c.in_spec(0).shape[1];
  if (table.rows == 0 || dim == 0) return;
  auto* const touched = c.scratch_as<uint32_t>();
  void* const rest = c.scratch_as<char>() + bits_bytes(table.rows);
  cuda::check(cudaMemsetAsync(touched, 0, bits_bytes(table.rows), cuda::stream_of(c)), "sparse_adam");
  cuda::update_touched_rows<Rule>(c, rest, touched);
  cuda::visit_pack(dim, [&]<int V>() {
    const RowLanes lanes(dim, V);
    cuda::run(c, update_rest<V>, lanes.grid(table.rows, kThreads), kThreads, 0, lanes,
              static_cast<cuda::SparseStep<Rule>*>(rest), table, touched);
  });
}

}  // namespace

void register_sparse_adam_cuda(Registry& r) {
  r.add_kernel(
      "sparse_adam",
      {.name = "streaming", .device = Device::CUDA, .reject = cuda::reject_segments, .prepare = prepare, .run = run});
}

}  // namespace winnow
