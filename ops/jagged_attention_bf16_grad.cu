// jagged_attention_grad of bf16 factors on tensor cores (Dao 2023, "FlashAttention-2", algorithm 2, as two kernels):
// the weights again from lse, once by tiles of queries for their gradient (and the bias's), once by tiles of keys for
// those of keys and values. Weights and their gradients are left factors in registers, rounded to bf16; every element
// is one thread's sum, in one order.
#include "ops/detail/attention_key_gradients.h"
#include "ops/detail/attention_query_gradients.h"
#include "ops/jagged_attention.h"

namespace winnow {
namespace {

using namespace detail;

using Plan = GradientPlan<RoundedTile>;

void prepare(const NodeSpec& node, Prepare& p) {
  const Plan& plan = p.state<Plan>(node);
  p.scratch(plan.scratch_bytes());
  visit_tile<RoundedTile>(plan.spec, []<class R>(R) {
    allow_shared(query_gradients_bf16<R>, kBackwardBytes<R> + kScoreBytes<R>);
    allow_shared(key_gradients_bf16<R>, kBackwardBytes<R>);
  });
}

void run(const Call& c) {
  const auto& plan = c.state<Plan>();
  const AttentionSpec& s = plan.spec;
  const auto g = plan.gradients<bf16>(c, stored(c.inputs[3], c.in_spec(3)), stored(c.outputs[0], c.out_spec(0)));
  visit_tile<RoundedTile>(s, [&]<class R>(R) {
    const RoundedArgs a(s, c);
    const dim3 grid = attention_grid(s, R::kTile);
    const size_t bytes = kBackwardBytes<R>;
    cuda::run(c, query_gradients_bf16<R>, grid, R::kThreads, bytes + (s.has_bias ? kScoreBytes<R> : 0), a, g);
    cuda::run(c, key_gradients_bf16<R>, grid, R::kThreads, bytes, a, g);
  });
  add_up_parts(plan, c);
}

}  // namespace

void register_jagged_attention_bf16_grad_cuda(Registry& r) {
  r.add_kernel("jagged_attention_grad", {.name = "tensor_cores",
                                         .device = Device::CUDA,
                                         .reject = reject_attention<true, DType::BF16>,
                                         .prepare = prepare,
                                         .run = run});
}

}  // namespace winnow
