// matmul, linear_weight_grad and bmm on cuBLASLt. The library adds bias and residual and applies relu; what it has no
// exact form of (gelu by the error function, sigmoid, tanh, the masks of the backward pass) is one pass over its
// result.
#include "core/cuda/column_sums.h"
#include "core/cuda/matmul_plan.h"
#include "ops/detail/matmul_node.h"
#include "ops/pointwise.def.h"

namespace winnow {
namespace {

using cpu::Act;
using detail::MatmulNode;

constexpr unsigned kThreads = 256;

// One operator's product, with a plan unless some extent is 0.
struct Planned {
  std::optional<cuda::MatmulPlan> plan;
  Planned(const cuda::Product& p, const DeviceInfo& device) {
    if (p.m > 0 && p.n > 0 && p.k > 0 && p.batches > 0) plan.emplace(p, device.device, device.measure);
  }
  size_t workspace_bytes() const { return plan ? (plan->workspace_bytes() + 255) / 256 * 256 : 0; }
};

Precision precision_of(const NodeSpec& node) {
  if (node.in[0].dtype == DType::BF16) return Precision::BF16;
  return node.attrs.flag("tf32") ? Precision::TF32 : Precision::F32;
}
// The factors may be bf16; everything else is f32.
const char* reject_f64(const NodeSpec& node, const DeviceInfo&) {
  return node.out[0].dtype == DType::F32 ? nullptr : "f32 and bf16 only";
}

void zero(const Call& c, float* data, int64_t n) {
  if (n > 0)
    cuda::check(cudaMemsetAsync(data, 0, static_cast<size_t>(n) * sizeof(float), cuda::stream_of(c)), c.spec->op->name);
}

// ---- matmul

__device__ float activate(Act act, float x) {
  switch (act) {
    case Act::Relu: return pointwise::Relu::f(x);
    case Act::Gelu: return pointwise::Gelu::f(x);
    case Act::GeluTanh: return pointwise::GeluTanh::f(x);
    case Act::Sigmoid: return pointwise::Sigmoid::f(x);
    case Act::Tanh: return pointwise::Tanh::f(x);
    default: return x;
  }
}
__device__ float masked(Act act, float y, float mask) {
  switch (act) {
    case Act::Relu: return pointwise::Relu::gradient(y, mask);
    case Act::Gelu: return pointwise::Gelu::gradient(y, mask);
    case Act::GeluTanh: return pointwise::GeluTanh::gradient(y, mask);
    default: return y;
  }
}

// y = act(sum) times the derivative at mask. sum is y or the value before the activation; null: the bias and residual.
__global__ void __launch_bounds__(kThreads)
    finish(int64_t elements, int64_t n, const float* sum, const float* bias, const float* residual, Act act,
           const float* mask, Act mask_act, float* preact, float* y) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < elements; i += step) {
    float value = 0;
    if (sum != nullptr) {
      value = sum[i];
    } else {
      if (bias != nullptr) value += bias[i % n];
      if (residual != nullptr) value += residual[i];
      if (preact != nullptr) preact[i] = value;
    }
    value = activate(act, value);
    y[i] = mask == nullptr ? value : masked(mask_act, value, mask[i]);
  }
}

struct Matmul {
  MatmulNode node;
  bool relu;  // by the library
  Planned product;
  Matmul(const NodeSpec& spec, const DeviceInfo& device)
      : node(spec),
        relu(node.act == Act::Relu && node.mask < 0 && !node.preact),
        product({.m = node.m,
                 .n = node.n,
                 .k = node.k,
                 .trans_a = node.trans_a,
                 .trans_b = node.trans_b,
                 .adds_c = node.residual >= 0,
                 .adds_bias = node.bias >= 0,
                 .relu = relu,
                 .precision = precision_of(spec)},
                device) {}
};

const char* reject(const NodeSpec& node, const DeviceInfo& device) {
  return node.attrs.integer("packed_n", 0) > 0 ? "a packed weight is a CPU's" : reject_f64(node, device);
}
void prepare(const NodeSpec& node, Prepare& p) {
  p.scratch(p.state<Matmul>(node, p.device()).product.workspace_bytes());
}
void run(const Call& c) {
  const auto& s = c.state<Matmul>();
  const MatmulNode& node = s.node;
  const int64_t elements = node.m * node.n;
  if (elements == 0) return;
  const auto optional = [&](int input) { return input < 0 ? nullptr : c.in<float>(input); };
  float *y = c.out<float>(0), *preact = node.preact ? c.out<float>(1) : nullptr;
  float* const sum = preact != nullptr ? preact : y;
  if (s.product.plan)
    s.product.plan->run(c.inputs[0], c.inputs[1], optional(node.residual), optional(node.bias), sum, c.scratch,
                        cuda::stream_of(c));
  const bool done = s.product.plan && (s.relu || (node.act == Act::None && node.mask < 0 && preact == nullptr));
  if (done) return;
  cuda::run(c, finish, cuda::grid(elements, kThreads), kThreads, 0, elements, node.n, s.product.plan ? sum : nullptr,
            optional(node.bias), optional(node.residual), node.act, optional(node.mask), node.mask_act, preact, y);
}

// ---- linear_weight_grad

struct WeightGradient {
  int64_t rows, k, n;
  bool bias, low;  // low: bf16
  Planned product;
  WeightGradient(const NodeSpec& node, const DeviceInfo& device)
      : rows(node.in[0].shape.outer(node.in[0].shape.rank() - 1)),
        k(node.in[0].shape.back()),
        n(node.in[1].shape.back()),
        bias(node.attrs.flag("has_bias")),
        low(node.in[1].dtype == DType::BF16),
        product({.m = k, .n = n, .k = rows, .trans_a = true, .precision = precision_of(node)}, device) {}
};
struct ElementOfRow {
  const float* dy;
  int64_t n;
  __device__ float operator()(int64_t row, int64_t column) const { return dy[row * n + column]; }
};
struct Bf16OfRow {
  const bf16* dy;
  int64_t n;
  __device__ float operator()(int64_t row, int64_t column) const {
    return __uint_as_float(unsigned{dy[row * n + column].bits} << 16);
  }
};

void prepare_weight_grad(const NodeSpec& node, Prepare& p) {
  const auto& s = p.state<WeightGradient>(node, p.device());
  p.scratch(s.product.workspace_bytes() + (s.bias ? cuda::column_sums_bytes(s.rows, s.n) : 0));
}
void run_weight_grad(const Call& c) {
  const auto& s = c.state<WeightGradient>();
  if (s.product.plan)
    s.product.plan->run(c.inputs[0], c.inputs[1], nullptr, nullptr, c.out<float>(0), c.scratch, cuda::stream_of(c));
  else
    zero(c, c.out<float>(0), s.k * s.n);
  if (!s.bias) return;
  auto* const parts = reinterpret_cast<float*>(c.scratch_as<char>() + s.product.workspace_bytes());
  if (s.low)
    cuda::column_sums(c, s.rows, s.n, c.out<float>(1), parts, Bf16OfRow{c.in<bf16>(1), s.n});
  else
    cuda::column_sums(c, s.rows, s.n, c.out<float>(1), parts, ElementOfRow{c.in<float>(1), s.n});
}

// ---- bmm

void prepare_bmm(const NodeSpec& node, Prepare& p) {
  const bool trans_a = node.attrs.flag("trans_a"), trans_b = node.attrs.flag("trans_b");
  const Shape &a = node.in[0].shape, &y = node.out[0].shape;
  const cuda::Product product{
      .m = y[1], .n = y[2], .k = a[trans_a ? 1 : 2], .trans_a = trans_a, .trans_b = trans_b, .batches = y[0]};
  p.scratch(p.state<Planned>(product, p.device()).workspace_bytes());
}
void run_bmm(const Call& c) {
  const auto& s = c.state<Planned>();
  if (s.plan)
    s.plan->run(c.in<float>(0), c.in<float>(1), nullptr, nullptr, c.out<float>(0), c.scratch, cuda::stream_of(c));
  else
    zero(c, c.out<float>(0), c.out_numel(0));
}

}  // namespace

void register_matmul_cuda(Registry& r) {
  r.add_kernel("matmul",
               {.name = "cublaslt", .device = Device::CUDA, .reject = reject, .prepare = prepare, .run = run});
  r.add_kernel("linear_weight_grad", {.name = "cublaslt",
                                      .device = Device::CUDA,
                                      .reject = reject_f64,
                                      .prepare = prepare_weight_grad,
                                      .run = run_weight_grad});
  r.add_kernel("bmm", {.name = "cublaslt",
                       .device = Device::CUDA,
                       .reject = cuda::reject_all_but_f32,
                       .prepare = prepare_bmm,
                       .run = run_bmm});
}

}  // namespace winnow
