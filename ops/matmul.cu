// matmul, linear_weight_grad and bmm on cuBLASLt. The library adds bias and residual and applies relu; what it has no
// exact form of (gelu by the error function, sigmoid, tanh, the masks of the backward pass) is one pass over its
// result.
#include "core/cuda/column_sums.h"
#include "ops/detail/aligned_product.h"
#include "ops/detail/matmul_finish.h"

namespace winnow {
namespace {

using cpu::Act;
using detail::AlignedProduct, detail::kFinishThreads, detail::MatmulNode;

Precision precision_of(const NodeSpec& node) {
  if (node.in[0].dtype == DType::BF16) return Precision::BF16;
  return node.attrs.flag("tf32") ? Precision::TF32 : Precision::F32;
}
const char* reject_f64(const NodeSpec& node, const DeviceInfo&) {
  return node.in[0].dtype != DType::F64 ? nullptr : "f32 and bf16 only";
}

void zero(const Call& c, float* data, int64_t n) {
  if (n > 0)
    cuda::check(cudaMemsetAsync(data, 0, static_cast<size_t>(n) * sizeof(float), cuda::stream_of(c)), c.spec->op->name);
}

// ---- matmul

struct Matmul {
  MatmulNode node;
  bool relu;      // by the library
  bool bf16_sum;  // what the library gives: the value before the activation where that is wanted, else the result
  AlignedProduct product;
  Matmul(const NodeSpec& spec, const DeviceInfo& device)
      : node(spec),
        relu(node.act == Act::Relu && node.mask < 0 && !node.preact),
        bf16_sum(node.preact ? node.bf16_preact : node.bf16_out),
        product({.m = node.m,
                 .n = node.n,
                 .k = node.k,
                 .trans_a = node.trans_a,
                 .trans_b = node.trans_b,
                 .adds_c = node.residual >= 0,
                 .adds_bias = node.bias >= 0,
                 .relu = relu,
                 .precision = precision_of(spec),
                 .bf16_out = bf16_sum},
                device) {}
  bool rounds_bias() const { return bf16_sum && node.bias >= 0; }
  size_t scratch_bytes() const {
    return product.scratch_bytes() + (rounds_bias() ? static_cast<size_t>(node.n) * sizeof(bf16) : 0);
  }
};

const char* reject(const NodeSpec& node, const DeviceInfo& device) {
  return node.attrs.integer("packed_n", 0) > 0 ? "a packed weight is a CPU's" : reject_f64(node, device);
}
void prepare(const NodeSpec& node, Prepare& p) { p.scratch(p.state<Matmul>(node, p.device()).scratch_bytes()); }

void run_product(const Call& c, const Matmul& s, void* sum) {
  const float* const bias = s.node.bias < 0 ? nullptr : c.in<float>(s.node.bias);
  const float* const residual = s.node.residual < 0 ? nullptr : c.in<float>(s.node.residual);
  if (s.product.empty()) {
    const int64_t elements = s.node.m * s.node.n;
    cuda::visit_stored(s.bf16_sum, [&]<class Sum> {
      cuda::run(c, detail::fill_sums<Sum>, cuda::grid(elements, kFinishThreads), kFinishThreads, 0, elements, s.node.n,
                bias, residual, static_cast<Sum*>(sum));
    });
    return;
  }
  const void* added = bias;
  if (s.rounds_bias()) {  // the library adds a bias of its result's type
    auto* const rounded = reinterpret_cast<bf16*>(c.scratch_as<char>() + s.product.scratch_bytes());
    cuda::run(c, detail::round_bias, cuda::grid(s.node.n, kFinishThreads, INT32_MAX), kFinishThreads, 0, s.node.n, bias,
              rounded);
    added = rounded;
  }
  s.product.run(c, c.inputs[0], c.inputs[1], residual, added, sum);
}

void run(const Call& c) {
  const auto& s = c.state<Matmul>();
  const MatmulNode& node = s.node;
  const int64_t elements = node.m * node.n;
  if (elements == 0) return;
  void* const sum = c.outputs[node.preact ? 1 : 0];
  run_product(c, s, sum);
  const bool activated = node.act == Act::None || (s.relu && !s.product.empty());
  if (activated && node.mask < 0 && !node.preact) return;
  const void* const mask = node.mask < 0 ? nullptr : c.inputs[node.mask];
  const bool aligned = cuda::is_aligned(sum, 16) && cuda::is_aligned(mask, 16) && cuda::is_aligned(c.outputs[0], 16);
  cuda::visit_stored(s.bf16_sum, [&]<class Sum> {
    cuda::visit_stored(node.bf16_mask, [&]<class Mask> {
      cuda::visit_stored(node.bf16_out, [&]<class Y> {
        cuda::run(c, detail::finish<Sum, Mask, Y>,
                  cuda::grid(elements / detail::kFinishWidth<Sum, Mask, Y> + 1, kFinishThreads), kFinishThreads, 0,
                  elements, aligned, static_cast<const Sum*>(sum), static_cast<const Mask*>(mask),
                  detail::FinishOf<Y>{node.act, node.mask_act}, static_cast<Y*>(c.outputs[0]));
      });
    });
  });
}

// ---- linear_weight_grad

struct WeightGradient {
  int64_t rows, k, n;
  bool bias, low;  // low: bf16
  AlignedProduct product;
  WeightGradient(const NodeSpec& node, const DeviceInfo& device)
      : rows(node.in[0].shape.outer(node.in[0].shape.rank() - 1)),
        k(node.in[0].shape.back()),
        n(node.in[1].shape.back()),
        bias(node.attrs.flag("has_bias")),
        low(node.in[1].dtype == DType::BF16),
        product({.m = k, .n = n, .k = rows, .trans_a = true, .precision = precision_of(node)}, device) {}
};
template <class T>
struct ElementOfRow {
  const T* dy;
  int64_t n;
  __device__ float operator()(int64_t row, int64_t column) const { return cuda::to_float(dy[row * n + column]); }
};

void prepare_weight_grad(const NodeSpec& node, Prepare& p) {
  const auto& s = p.state<WeightGradient>(node, p.device());
  p.scratch(s.product.scratch_bytes() + (s.bias ? cuda::column_sums_bytes(s.rows, s.n) : 0));
}
void run_weight_grad(const Call& c) {
  const auto& s = c.state<WeightGradient>();
  if (s.product.empty())
    zero(c, c.out<float>(0), s.k * s.n);
  else
    s.product.run(c, c.inputs[0], c.inputs[1], nullptr, nullptr, c.out<float>(0));
  if (!s.bias) return;
  auto* const parts = reinterpret_cast<float*>(c.scratch_as<char>() + s.product.scratch_bytes());
  cuda::visit_stored(s.low, [&]<class T> {
    cuda::column_sums(c, s.rows, s.n, c.out<float>(1), parts, ElementOfRow<T>{c.in<T>(1), s.n});
  });
}

// ---- bmm

void prepare_bmm(const NodeSpec& node, Prepare& p) {
  const bool trans_a = node.attrs.flag("trans_a"), trans_b = node.attrs.flag("trans_b");
  const Shape &a = node.in[0].shape, &y = node.out[0].shape;
  const cuda::Product product{
      .m = y[1], .n = y[2], .k = a[trans_a ? 1 : 2], .trans_a = trans_a, .trans_b = trans_b, .batches = y[0]};
  p.scratch(p.state<AlignedProduct>(product, p.device()).scratch_bytes());
}
void run_bmm(const Call& c) {
  const auto& s = c.state<AlignedProduct>();
  if (s.empty())
    zero(c, c.out<float>(0), c.out_numel(0));
  else
    s.run(c, c.inputs[0], c.inputs[1], nullptr, nullptr, c.out<float>(0));
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
