// cosent and its gradient: a warp has an example and walks all others, of which scores, labels and weights stay in the
// first-level cache. Arithmetic bounds it: n^2 exponentials, taken once for the sum and once for the gradient.
#include "core/cuda/rows.h"
#include "core/cuda/totals.h"
#include "core/math.h"

namespace winnow {
namespace {

using cuda::Largest, cuda::Row, cuda::Sum, cuda::Totals;

using Layout = cuda::RowLayout<float, 0, false, 256>;

struct Pairs {
  const float *scores, *labels, *weights;  // weights null: all 1
  int64_t n;
  float scale;
  __device__ float weight(int64_t i) const { return weights == nullptr ? 1.0f : weights[i]; }
  __device__ bool counts(int64_t high, int64_t low) const { return labels[high] > labels[low] && weight(low) != 0.0f; }
  // The exponent of the pair; NaN must survive the maximum.
  __device__ float term(int64_t high, int64_t low) const { return scale * (scores[low] - scores[high]); }
};
Pairs pairs_of(const Call& c, int first) {
  return {c.in<float>(first), c.in<float>(first + 1),
          c.spec->in.size() == static_cast<size_t>(first) + 3 ? c.in<float>(first + 2) : nullptr, c.in_numel(first),
          c.state<float>()};
}

// log(1 + sum) as most + log(rest), rest = e^-most + sum of e^(term - most); most is the largest exponent, at least 0.
struct Total {
  double most, rest;
};

// terms [n]: the largest term of the pairs in which the example's label is the higher one, at least 0.
__global__ void __launch_bounds__(256) largest_terms(Pairs p, float* terms) {
  const Largest largest;
  cuda::each_row<Layout>(32, p.n, static_cast<unsigned>(p.n), [&](const Row<Layout>& row) {
    float most = 0;
    if (p.weight(row.index) != 0.0f)
      row.each([&](unsigned j, unsigned) {
        if (p.counts(row.index, j)) most = largest(most, p.term(row.index, j));
      });
    most = row.reduce(most, largest);
    if (row.first()) terms[row.index] = most;
  });
}
__global__ void __launch_bounds__(1024) largest_of_all(const float* terms, int64_t n, float* most) {
  WN_SHARED(float, parts, [33]);
  const Largest largest;
  float all = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) all = largest(all, terms[i]);
  all = cuda::block_reduce(all, largest, &parts[0]);
  if (threadIdx.x == 0) *most = all;
}
// sums [n]: the weighted exponentials of the same pairs.
__global__ void __launch_bounds__(256) sums_of_terms(Pairs p, const float* most, double* sums) {
  const float m = *most;
  cuda::each_row<Layout>(32, p.n, static_cast<unsigned>(p.n), [&](const Row<Layout>& row) {
    const float weight = p.weight(row.index);
    double sum = 0;
    if (weight != 0.0f)
      row.each([&](unsigned j, unsigned) {
        if (p.counts(row.index, j)) sum += static_cast<double>(p.weight(j) * math::exp(p.term(row.index, j) - m));
      });
    sum = row.reduce(sum, Sum());
    if (row.first()) sums[row.index] = sum * static_cast<double>(weight);
  });
}

struct SumOf {
  const double* sums;
  __device__ Totals operator()(int64_t i) const { return {sums[i], 0}; }
};
struct StoreTotal {
  const float* most;
  Total* total;
  float* loss;  // null: not wanted
  __device__ void operator()(Totals t) const {
    const auto m = static_cast<double>(*most);
    *total = {m, std::exp(-m) + t.value};
    if (loss != nullptr) *loss = static_cast<float>(m + std::log1p(total->rest - 1));
  }
};

__global__ void __launch_bounds__(256) gradient(Pairs p, const float* dloss, const Total* total, float* dx) {
  const auto m = static_cast<float>(total->most);
  const double factor = static_cast<double>(*dloss) * static_cast<double>(p.scale) / total->rest;
  cuda::each_row<Layout>(32, p.n, static_cast<unsigned>(p.n), [&](const Row<Layout>& row) {
    const int64_t i = row.index;
    const float weight = p.weight(i);
    double sum = 0;
    if (weight != 0.0f)
      row.each([&](unsigned j, unsigned) {
        if (p.weight(j) == 0.0f || p.labels[i] == p.labels[j]) return;
        const bool higher = p.labels[i] > p.labels[j];
        const float e = p.weight(j) * math::exp((higher ? p.term(i, j) : p.term(j, i)) - m);
        sum += static_cast<double>(higher ? -e : e);
      });
    sum = row.reduce(sum, Sum());
    if (row.first()) dx[i] = weight == 0.0f ? 0.0f : static_cast<float>(factor * static_cast<double>(weight) * sum);
  });
}

// Scratch: the total, the largest term, each example's sum and largest term, the parts of the sums.
struct Scratch {
  Total* total;
  float* most;
  double* sums;
  Totals* parts;
  float* terms;
  Scratch(void* scratch, int64_t n)
      : total(static_cast<Total*>(scratch)),
        most(reinterpret_cast<float*>(total + 1)),
        sums(reinterpret_cast<double*>(total + 2)),
        parts(reinterpret_cast<Totals*>(sums + n + n % 2)),
        terms(reinterpret_cast<float*>(parts + cuda::total_blocks(n))) {}
  static size_t bytes(int64_t n) {
    return 2 * sizeof(Total) + static_cast<size_t>(n + n % 2) * sizeof(double) + cuda::totals_bytes(n) +
           static_cast<size_t>(n) * sizeof(float);
  }
};
void prepare(const NodeSpec& node, Prepare& p) {
  p.state<float>() = static_cast<float>(node.attrs.number("scale"));
  p.scratch(Scratch::bytes(node.in.back().shape.numel()));
}
void run_total(const Call& c, const Pairs& p, const Scratch& s, float* loss) {
  const dim3 warps = cuda::grid(p.n * 32, 256);
  if (p.n > 0) cuda::run(c, largest_terms, warps, 256, 0, p, s.terms);
  cuda::run(c, largest_of_all, dim3(1), 1024, 0, s.terms, p.n, s.most);
  if (p.n > 0) cuda::run(c, sums_of_terms, warps, 256, 0, p, s.most, s.sums);
  cuda::totals(c, p.n, s.parts, SumOf{s.sums}, StoreTotal{s.most, s.total, loss});
}
void run_loss(const Call& c) {
  const Pairs p = pairs_of(c, 0);
  run_total(c, p, Scratch(c.scratch, p.n), c.out<float>(0));
}
void run_gradient(const Call& c) {
  const Pairs p = pairs_of(c, 1);
  if (p.n == 0) return;
  const Scratch s(c.scratch, p.n);
  run_total(c, p, s, nullptr);
  cuda::run(c, gradient, cuda::grid(p.n * 32, 256), 256, 0, p, c.in<float>(0), s.total, c.out<float>(0));
}
const char* reject(const NodeSpec& node, const DeviceInfo& device) {
  return node.in.back().shape.numel() >= INT32_MAX ? "2^31 examples or more" : cuda::reject_all_but_f32(node, device);
}

}  // namespace

void register_cosent_cuda(Registry& r) {
  const auto add = [&](const char* op, void (*run)(const Call&)) {
    r.add_kernel(op, {.name = "pairs", .device = Device::CUDA, .reject = reject, .prepare = prepare, .run = run});
  };
  add("cosent", run_loss);
  add("cosent_grad", run_gradient);
}

}  // namespace winnow
