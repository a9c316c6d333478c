// bpr and sampled_softmax and their gradients: a warp, or a part of one, has a row of negatives; one negative a row is
// one thread. Memory bounds them: each operand is read once, or again from the first-level cache.
#include "core/cuda/rows.h"
#include "core/cuda/totals.h"
#include "core/math.h"

namespace winnow {
namespace {

using cuda::Largest, cuda::LossScale, cuda::Row, cuda::Sum, cuda::Totals;

enum class Kind { Bpr, SampledSoftmax };
using Layout = cuda::RowLayout<float, 0, false, 256>;

struct Problem {
  const float *positives, *negatives, *q_positives, *q_negatives, *weights;  // null: absent
  int64_t rows;
  unsigned columns;

  __device__ float weight(int64_t row) const { return weights == nullptr ? 1.0f : weights[row]; }
  __device__ float positive(int64_t row) const {
    return q_positives == nullptr ? positives[row] : positives[row] - q_positives[row];
  }
  // The corrected logit of a negative, less that of the positive.
  __device__ float difference(int64_t row, unsigned j, float of_positive) const {
    const int64_t i = row * columns + j;
    return (q_negatives == nullptr ? negatives[i] : negatives[i] - q_negatives[i]) - of_positive;
  }
};
// Inputs from `first` on: positives, negatives, [log_q of both], [weights]; their number tells which are there.
Problem problem_of(const Call& c, int first) {
  const int n = static_cast<int>(c.spec->in.size()) - first;
  const int64_t rows = c.in_numel(first);
  return {c.in<float>(first),
          c.in<float>(first + 1),
          n >= 4 ? c.in<float>(first + 2) : nullptr,
          n >= 4 ? c.in<float>(first + 3) : nullptr,
          n % 2 == 1 ? c.in<float>(first + n - 1) : nullptr,
          rows,
          static_cast<unsigned>(rows == 0 ? 0 : c.in_numel(first + 1) / rows)};
}

// With d[j] = s_neg[j] - s_pos: most = max(0, max d), sum = sum of e^(d - most).
struct Exponentials {
  float most;
  double sum;
};
__device__ Exponentials exponentials(const Problem& p, const Row<Layout>& row, float positive) {
  const Largest largest;
  float most = 0;
  row.each([&](unsigned j, unsigned) { most = largest(most, p.difference(row.index, j, positive)); });
  most = row.reduce(most, largest);
  double sum = 0;
  row.each(
      [&](unsigned j, unsigned) { sum += static_cast<double>(std::exp(p.difference(row.index, j, positive) - most)); });
  return {most, row.reduce(sum, Sum())};
}
__device__ double bpr_loss(const Problem& p, const Row<Layout>& row, float positive) {
  double sum = 0;
  row.each(
      [&](unsigned j, unsigned) { sum += static_cast<double>(math::softplus(p.difference(row.index, j, positive))); });
  return row.reduce(sum, Sum()) / static_cast<double>(p.columns);
}

// loss [rows], weights applied. Rows without weight are read as well: lanes of one warp have several rows.
template <Kind kKind>
__global__ void __launch_bounds__(256) loss_rows(Problem p, double* loss, unsigned lanes) {
  cuda::each_row<Layout>(lanes, p.rows, p.columns, [&](const Row<Layout>& row) {
    const bool live = row.packs > 0;
    const float positive = live ? p.positive(row.index) : 0.0f, weight = live ? p.weight(row.index) : 0.0f;
    double value = 0;
    if constexpr (kKind == Kind::Bpr) {
      value = bpr_loss(p, row, positive);
    } else {
      const Exponentials e = exponentials(p, row, positive);
      const auto most = static_cast<double>(e.most);
      if (row.first()) value = most + std::log1p(std::expm1(-most) + e.sum);
    }
    if (row.first()) loss[row.index] = weight == 0.0f ? 0 : static_cast<double>(weight) * value;
  });
}

template <Kind kKind>
__global__ void __launch_bounds__(256)
    gradient_rows(Problem p, LossScale mean, float* dpositives, float* dnegatives, unsigned lanes) {
  const double factor = mean();
  cuda::each_row<Layout>(lanes, p.rows, p.columns, [&](const Row<Layout>& row) {
    const bool live = row.packs > 0;
    const float positive = live ? p.positive(row.index) : 0.0f, weight = live ? p.weight(row.index) : 0.0f;
    const auto scale = static_cast<float>(factor * static_cast<double>(weight));
    const bool none = weight == 0.0f;
    float* const to = dnegatives + row.index * p.columns;
    double dpositive = 0;
    if constexpr (kKind == Kind::Bpr) {
      const float each = scale / static_cast<float>(p.columns);
      row.each([&](unsigned j, unsigned) {
        const float d = none ? 0.0f : each * math::sigmoid(p.difference(row.index, j, positive));
        to[j] = d;
        dpositive -= static_cast<double>(d);
      });
      dpositive = row.reduce(dpositive, Sum());
    } else {
      const Exponentials e = exponentials(p, row, positive);
      const double z = std::exp(-static_cast<double>(e.most)) + e.sum;
      const auto each = static_cast<float>(static_cast<double>(scale) / z);
      row.each([&](unsigned j, unsigned) {
        to[j] = none ? 0.0f : each * std::exp(p.difference(row.index, j, positive) - e.most);
      });
      dpositive = -static_cast<double>(scale) * (e.sum / z);  // 1 - p of the positive, without the cancellation
    }
    if (row.first()) dpositives[row.index] = none ? 0.0f : static_cast<float>(dpositive);
  });
}

struct RowTotals {
  const double* loss;  // null: weights alone are wanted
  const float* weights;
  __device__ Totals operator()(int64_t row) const {
    return {loss == nullptr ? 0.0 : loss[row], weights == nullptr ? 1.0 : static_cast<double>(weights[row])};
  }
};
struct Launch {
  unsigned lanes = 1;
  dim3 blocks;
  explicit Launch(const Problem& p) {
    while (lanes < 32 && lanes < p.columns) lanes *= 2;
    blocks = cuda::grid(p.rows * lanes, 256);
  }
};

// Scratch: the loss of each row, then the parts of their totals.
void prepare_loss(const NodeSpec& node, Prepare& p) {
  const int64_t rows = node.in[0].shape.numel();
  p.scratch(static_cast<size_t>(rows) * sizeof(double) + cuda::totals_bytes(rows));
}
template <Kind kKind>
void run_loss(const Call& c) {
  const Problem p = problem_of(c, 0);
  auto* const loss = c.scratch_as<double>();
  const Launch launch(p);
  if (p.rows > 0) cuda::run(c, loss_rows<kKind>, launch.blocks, 256, 0, p, loss, launch.lanes);
  cuda::totals(c, p.rows, loss + p.rows, RowTotals{loss, p.weights}, cuda::StoreMean{c.out<float>(0)});
}
// Scratch: the sum of the weights, then its parts.
void prepare_gradient(const NodeSpec& node, Prepare& p) {
  p.scratch(sizeof(Totals) + cuda::totals_bytes(node.in[1].shape.numel()));
}
template <Kind kKind>
void run_gradient(const Call& c) {
  const Problem p = problem_of(c, 1);
  if (p.rows == 0) return;
  double* const weight = p.weights == nullptr ? nullptr : c.scratch_as<double>();
  if (weight != nullptr)
    cuda::totals(c, p.rows, c.scratch_as<Totals>() + 1, RowTotals{nullptr, p.weights}, cuda::StoreWeight{weight});
  const Launch launch(p);
  cuda::run(c, gradient_rows<kKind>, launch.blocks, 256, 0, p,
            LossScale{c.in<float>(0), weight, static_cast<double>(p.rows)}, c.out<float>(0), c.out<float>(1),
            launch.lanes);
}

template <Kind kKind>
void add_kernels(Registry& r, const std::string& op) {
  r.add_kernel(op, {.name = "rows",
                    .device = Device::CUDA,
                    .reject = cuda::reject_all_but_f32,
                    .prepare = prepare_loss,
                    .run = run_loss<kKind>});
  r.add_kernel(op + "_grad", {.name = "rows",
                              .device = Device::CUDA,
                              .reject = cuda::reject_all_but_f32,
                              .prepare = prepare_gradient,
                              .run = run_gradient<kKind>});
}

}  // namespace

void register_ranking_losses_cuda(Registry& r) {
  add_kernels<Kind::Bpr>(r, "bpr");
  add_kernels<Kind::SampledSoftmax>(r, "sampled_softmax");
}

}  // namespace winnow
