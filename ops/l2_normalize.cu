// l2_normalize and its gradient: one pass over memory for rows of up to 16384 elements (4096 where their number is no
// multiple of 4).
#include "core/cuda/kernel.h"
#include "core/cuda/rows.h"

namespace winnow {
namespace {

using cuda::Row, cuda::RowLaunch, cuda::RowValues, cuda::Sum, cuda::map, cuda::total;

struct State {
  float eps;
  int64_t n;
};

template <class L>
__global__ void __launch_bounds__(L::kMostThreads)
    normalize_rows(const float* x, float* y, float* inverses, State s, unsigned lanes, int64_t rows, unsigned packs) {
  cuda::each_row<L>(lanes, rows, packs, [&](const Row<L>& row) {
    RowValues<L> v;
    v.load(row, x + row.index * s.n);
    float squares = 0;
    row.each([&](unsigned j, unsigned k) { squares += total(map([](float u) { return u * u; }, v.at(j, k))); });
    const float norm = sqrtf(row.reduce(squares, Sum())), inverse = 1.0f / (norm <= s.eps ? s.eps : norm);
    row.each([&](unsigned j, unsigned k) {
      row.store(y + row.index * s.n, j, map([inverse](float u) { return u * inverse; }, v.at(j, k)));
    });
    if (row.first()) inverses[row.index] = inverse;
  });
}
template <class L>
__global__ void __launch_bounds__(L::kMostThreads)
    gradient_rows(const float* dy, const float* y, const float* inverses, float* dx, State s, unsigned lanes,
                  int64_t rows, unsigned packs) {
  const float limit = 1.0f / s.eps;
  cuda::each_row<L>(lanes, rows, packs, [&](const Row<L>& row) {
    const int64_t at = row.index * s.n;
    RowValues<L> d, v;
    d.load(row, dy + at);
    v.load(row, y + at);
    const float inverse = row.packs > 0 ? inverses[row.index] : 0.0f;
    float along = 0;
    row.each([&](unsigned j, unsigned k) {
      along += total(map([](float a, float b) { return a * b; }, d.at(j, k), v.at(j, k)));
    });
    along = row.reduce(along, Sum());
    if (inverse >= limit) along = 0;
    row.each([&](unsigned j, unsigned k) {
      row.store(dx + at, j, map([=](float a, float b) { return inverse * (a - b * along); }, d.at(j, k), v.at(j, k)));
    });
  });
}

template <size_t kRows>
void prepare(const NodeSpec& node, Prepare& p) {
  p.state<State>() = {static_cast<float>(node.attrs.number("eps")), node.in[kRows].shape.back()};
}
void run(const Call& c) {
  const int64_t rows = c.out_numel(1);
  if (rows == 0) return;
  const auto& s = c.state<State>();
  cuda::with_row_layout(s.n, [&]<class L>(RowLaunch l) {
    cuda::run(c, normalize_rows<L>, l.blocks<L>(rows), l.threads, 0, c.in<float>(0), c.out<float>(0), c.out<float>(1),
              s, l.lanes, rows, l.packs);
  });
}
void run_gradient(const Call& c) {
  const int64_t rows = c.in_numel(2);
  if (rows == 0) return;
  const auto& s = c.state<State>();
  cuda::with_row_layout(s.n, [&]<class L>(RowLaunch l) {
    cuda::run(c, gradient_rows<L>, l.blocks<L>(rows), l.threads, 0, c.in<float>(0), c.in<float>(1), c.in<float>(2),
              c.out<float>(0), s, l.lanes, rows, l.packs);
  });
}

}  // namespace

void register_l2_normalize_cuda(Registry& r) {
  r.add_kernel(
      "l2_normalize",
      {.name = "rows", .device = Device::CUDA, .reject = cuda::reject_all_but_f32, .prepare = prepare<0>, .run = run});
  r.add_kernel("l2_normalize_grad", {.name = "rows",
                                     .device = Device::CUDA,
                                     .reject = cuda::reject_all_but_f32,
                                     .prepare = prepare<1>,
                                     .run = run_gradient});
}

}  // namespace winnow
