// ranknet, lambdarank, listnet and their gradients: the kernels of ops/detail/group_kernels.h.
#include "ops/detail/group_kernels.h"

namespace winnow {
namespace {

using cuda::LossScale, cuda::Totals, detail::GroupData, detail::GroupLoss, detail::GroupOptions, detail::inputs_of;

// ---- the operators

// Scratch: the weights' sum, the parts of the totals, what GroupData has.
struct Sizes {
  int64_t groups, rows;
  Sizes(const NodeSpec& node, size_t first) : groups(node.in.back().shape[0] - 1), rows(node.in[first].shape.numel()) {}
  size_t bytes() const {
    return (1 + static_cast<size_t>(groups)) * sizeof(Totals) + cuda::totals_bytes(groups) +
           static_cast<size_t>(groups + 1 + 3 * rows) * sizeof(double) + static_cast<size_t>(rows) * sizeof(int32_t);
  }
};
struct State {
  GroupOptions options;
  Sizes sizes;
};
template <GroupLoss kLoss>
GroupData data_of(const Call& c, int first) {
  const auto& [options, sizes] = c.state<State>();
  constexpr int kLabels = inputs_of(kLoss) - 2;
  GroupData w{.scores = c.in<float>(first),
              .ranked_by = c.in<float>(first + kLabels - 1),
              .labels = c.in<float>(first + kLabels),
              .offsets = c.in<int64_t>(first + kLabels + 1),
              .groups = sizes.groups,
              .rows = sizes.rows,
              .starts = nullptr,
              .losses = c.scratch_as<Totals>() + 1 + cuda::total_blocks(sizes.groups),
              .sums = nullptr,
              .gains = nullptr,
              .discounts = nullptr,
              .order = nullptr};
  w.starts = reinterpret_cast<int64_t*>(w.losses + w.groups);
  w.sums = reinterpret_cast<double*>(w.starts + w.groups + 1);
  w.gains = w.sums + w.rows;
  w.discounts = w.gains + w.rows;
  w.order = reinterpret_cast<int32_t*>(w.discounts + w.rows);
  return w;
}
struct LossOf {
  const Totals* losses;
  __device__ Totals operator()(int64_t group) const { return losses[group]; }
};
template <size_t kFirst>
void prepare(const NodeSpec& node, Prepare& p) {
  const State state{detail::group_options(node.attrs), Sizes(node, kFirst)};
  p.scratch(p.state<State>(state).sizes.bytes());
}
template <GroupLoss kLoss, bool kGradient>
void run_groups(const Call& c, const GroupData& w) {
  cuda::run(c, detail::group_starts<>, dim3(1), 1024, 0, w.offsets, w.groups + 1, w.rows, w.starts);
  if (w.groups > 0)
    cuda::run(c, detail::each_group<kLoss, kGradient>, cuda::grid(w.groups, 1), detail::kGroupThreads, 0, w,
              c.state<State>().options);
}
template <GroupLoss kLoss>
void run_loss(const Call& c) {
  const GroupData w = data_of<kLoss>(c, 0);
  run_groups<kLoss, false>(c, w);
  cuda::totals(c, w.groups, c.scratch_as<Totals>() + 1, LossOf{w.losses}, cuda::StoreMean{c.out<float>(0)});
}
template <GroupLoss kLoss>
void run_gradient(const Call& c) {
  const GroupData w = data_of<kLoss>(c, 1);
  if (w.rows == 0) return;
  auto* const weight = c.scratch_as<double>();
  cuda::check(cudaMemsetAsync(w.sums, 0, static_cast<size_t>(w.rows) * sizeof(double), cuda::stream_of(c)),
              c.spec->op->name);
  run_groups<kLoss, true>(c, w);
  cuda::totals(c, w.groups, c.scratch_as<Totals>() + 1, LossOf{w.losses}, cuda::StoreWeight{weight});
  cuda::run(c, detail::scale_sums<>, cuda::grid(w.rows, 256), 256, 0, w.sums, LossScale{c.in<float>(0), weight, 0},
            c.out<float>(0), w.rows);
}

template <GroupLoss kLoss>
void add_kernels(Registry& r, const std::string& op) {
  r.add_kernel(op, {.name = "groups",
                    .device = Device::CUDA,
                    .reject = cuda::reject_all_but_f32,
                    .prepare = prepare<0>,
                    .run = run_loss<kLoss>});
  r.add_kernel(op + "_grad", {.name = "groups",
                              .device = Device::CUDA,
                              .reject = cuda::reject_all_but_f32,
                              .prepare = prepare<1>,
                              .run = run_gradient<kLoss>});
}

}  // namespace

void register_group_losses_cuda(Registry& r) {
  add_kernels<GroupLoss::RankNet>(r, "ranknet");
  add_kernels<GroupLoss::LambdaRank>(r, "lambdarank");
  add_kernels<GroupLoss::ListNet>(r, "listnet");
}

}  // namespace winnow
