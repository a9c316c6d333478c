// Optimizers of touched rows: ops/detail/device_sparse.h with each rule.
#include "ops/detail/device_sparse.h"

namespace winnow {
namespace {

template <template <class> class Rule>
void add(Registry& r, const char* op) {
  r.add_kernel(op, {.name = "fused",
                    .device = Device::CUDA,
                    .reject = cuda::reject_segments,
                    .prepare =
                        [](const NodeSpec& n, Prepare& p) {
                          p.state<RuleParams>(n.attrs);
                          p.scratch(cuda::sparse_scratch_bytes<Rule<float>>(n));
                        },
                    .run = [](const Call& c) { cuda::update_touched_rows<Rule<float>>(c, c.scratch, nullptr); }});
}

}  // namespace

void register_sparse_optimizers_cuda(Registry& r) {
  add<sparse::Sgd>(r, "sparse_sgd");
  add<sparse::Adagrad>(r, "sparse_adagrad");
  add<sparse::RowwiseAdagrad>(r, "sparse_rowwise_adagrad");
  add<sparse::LazyAdam>(r, "sparse_adam_lazy");
  add<sparse::Ftrl>(r, "sparse_ftrl");
}

}  // namespace winnow
