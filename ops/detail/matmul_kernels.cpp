#include <cmath>

#include "core/cpu/onednn_matmul.h"
#include "ops/detail/blocks.h"
#include "ops/detail/factors.h"
#include "ops/detail/matmul_node.h"
#include "ops/detail/reference_product.h"
#include "ops/pointwise.def.h"

namespace winnow::detail {

int find_act(const std::string& name) {
  for (int i = 0; i < static_cast<int>(std::size(kActNames)); ++i)
    if (name == kActNames[i]) return i;
  return -1;
}

double activation(cpu::Act act, double x) {
  switch (act) {
    case cpu::Act::None: return x;
    case cpu::Act::Relu: return x <= 0 ? 0 : x;
    case cpu::Act::Gelu: return 0.5 * x * std::erfc(-x * M_SQRT1_2);
    case cpu::Act::GeluTanh: return x / (1 + std::exp(-2 * std::sqrt(M_2_PI) * (x + 0.044715 * x * x * x)));
    case cpu::Act::Sigmoid: return 1 / (1 + std::exp(-x));
    case cpu::Act::Tanh: return std::tanh(x);
  }
  return x;
}

int64_t packed_elements(int64_t n, int64_t k) {
  return static_cast<int64_t>(cpu::sgemm_packed_b_bytes(static_cast<size_t>(n), static_cast<size_t>(k)) /
                              sizeof(float));
}

int64_t packed_place(int64_t n, int64_t k, int64_t row, int64_t column) {
  return static_cast<int64_t>(cpu::sgemm_packed_place(static_cast<size_t>(n), static_cast<size_t>(k),
                                                      static_cast<size_t>(row), static_cast<size_t>(column)));
}

MatmulNode::MatmulNode(const NodeSpec& node) {
  const Shape &a = node.in[0].shape, &y = node.out[0].shape;
  trans_a = node.attrs.flag("trans_a"), trans_b = node.attrs.flag("trans_b");
  n = y.back(), m = y.outer(y.rank() - 1), k = trans_a ? a[0] : a.back();
  int next = 2;
  if (node.attrs.flag("has_bias")) bias = next++;
  if (node.attrs.flag("has_residual")) residual = next++;
  if (node.attrs.flag("has_mask")) mask = next++;
  act = static_cast<cpu::Act>(find_act(node.attrs.text("act", "none")));
  mask_act = static_cast<cpu::Act>(find_act(node.attrs.text("mask_act", "relu")));
  preact = node.attrs.flag("has_preact");
  packed = node.attrs.integer("packed_n", 0) > 0;
  bf16_out = node.out[0].dtype == DType::BF16, bf16_preact = preact && node.out[1].dtype == DType::BF16;
  bf16_mask = mask >= 0 && node.in[static_cast<size_t>(mask)].dtype == DType::BF16;
}

namespace {

const float* optional(const Call& c, int input) { return input < 0 ? nullptr : c.in<float>(input); }

// ---- packed: the product of core/cpu/sgemm.h

struct Packed {
  MatmulNode node;
  cpu::SgemmProblem problem;
  cpu::SgemmEpilogue epilogue;
  explicit Packed(const NodeSpec& spec) : node(spec) {
    const auto m = static_cast<size_t>(node.m), n = static_cast<size_t>(node.n), k = static_cast<size_t>(node.k);
    problem.m = m, problem.n = n, problem.k = k;
    problem.trans_a = node.trans_a, problem.trans_b = node.trans_b;
    problem.lda = node.trans_a ? m : k, problem.ldb = node.trans_b ? k : n, problem.ldc = n;
    epilogue.act = node.act, epilogue.ld_residual = n, epilogue.ld_mask = n, epilogue.ld_preact = n;
    epilogue.mask_act = node.mask_act;
  }
};

const char* reject_packed(const NodeSpec& node, const DeviceInfo&) { return reject_all_but_f32_factors(node); }
void prepare_packed(const NodeSpec& node, Prepare& p) {
  const Packed& s = p.state<Packed>(node);
  cpu::SgemmProblem problem = s.problem;
  alignas(64) static constexpr float kSomewhere = 0;
  if (s.node.packed) problem.packed_b = &kSomewhere;  // only whether it is set counts here
  p.scratch(cpu::sgemm_workspace_bytes(problem, s.epilogue));
}
void run_packed(const Call& c) {
  const auto& s = c.state<Packed>();
  cpu::SgemmProblem problem = s.problem;
  cpu::SgemmEpilogue epilogue = s.epilogue;
  problem.a = c.in<float>(0), problem.b = c.in<float>(1), problem.c = c.out<float>(0);
  if (s.node.packed) problem.packed_b = problem.b;
  epilogue.bias = optional(c, s.node.bias), epilogue.residual = optional(c, s.node.residual);
  epilogue.mask = optional(c, s.node.mask);
  if (s.node.preact) epilogue.preact = c.out<float>(1);
  cpu::sgemm(problem, epilogue, c.scratch);
}

// ---- onednn: factors in f32

// Of f32 with the activation; what follows a sum of bf16 factors is one pass over it.
struct OneDnn {
  MatmulNode node;
  cpu::OneDnnMatmul matmul;
  explicit OneDnn(const NodeSpec& spec, int threads)
      : node(spec),
        matmul({.m = node.m,
                .n = node.n,
                .k = node.k,
                .trans_a = node.trans_a,
                .trans_b = node.trans_b,
                .bias = node.bias >= 0,
                .residual = node.residual >= 0,
                .act = spec.in[0].dtype == DType::BF16 ? cpu::Act::None : node.act,
                .threads = threads,
                .bf16 = spec.in[0].dtype == DType::BF16}) {}
};

const char* reject_onednn(const NodeSpec& node, const DeviceInfo&) {
  if (const char* reason = reject_all_but_f32_factors(node)) return reason;
  const MatmulNode s(node);
  if (s.packed) return "b is packed for another kernel";
  if (s.preact) return "the value before the activation is wanted";
  if (s.mask >= 0 && s.mask_act != cpu::Act::Relu) return "the gradient of gelu is not a post-op";
  return s.m * s.n * s.k == 0 ? "an extent is 0" : nullptr;
}
void prepare_onednn(const NodeSpec& node, Prepare& p) {
  p.scratch(p.state<OneDnn>(node, p.device().threads).matmul.scratch_bytes());
}
void run_onednn(const Call& c) {
  const auto& s = c.state<OneDnn>();
  s.matmul.run(c.in<float>(0), c.in<float>(1), optional(c, s.node.bias), optional(c, s.node.residual),
               optional(c, s.node.mask), c.out<float>(0), c.scratch);
}

// ---- onednn_bf16

const char* reject_onednn_bf16(const NodeSpec& node, const DeviceInfo& device) {
  if (const char* reason = reject_all_but_bf16_factors(node, device)) return reason;
  const MatmulNode s(node);
  if (s.bf16_out || s.bf16_preact || s.bf16_mask) return "only factors are bf16 on a CPU";
  return s.m * s.n * s.k == 0 ? "an extent is 0" : nullptr;
}
// Calls f(op) with the operator of ops/pointwise.def.h.
template <class F>
void visit_activation(cpu::Act act, F&& f) {
  switch (act) {
    case cpu::Act::None: return;
    case cpu::Act::Relu: return f(pointwise::Relu{});
    case cpu::Act::Gelu: return f(pointwise::Gelu{});
    case cpu::Act::GeluTanh: return f(pointwise::GeluTanh{});
    case cpu::Act::Sigmoid: return f(pointwise::Sigmoid{});
    case cpu::Act::Tanh: return f(pointwise::Tanh{});
  }
}
void run_onednn_bf16(const Call& c) {
  const auto& s = c.state<OneDnn>();
  float *y = c.out<float>(0), *sum = s.node.preact ? c.out<float>(1) : y;
  s.matmul.run(c.in<bf16>(0), c.in<bf16>(1), optional(c, s.node.bias), optional(c, s.node.residual), nullptr, sum,
               c.scratch);
  visit_activation(s.node.act, [&]<class Op>(Op) {
    for_blocks(c.out_numel(0), [=](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) y[i] = Op::f(sum[i]);
    });
  });
  if (s.node.mask < 0) return;
  const float* mask = c.in<float>(s.node.mask);
  visit_activation(s.node.mask_act, [&]<class Op>(Op) {
    for_blocks(c.out_numel(0), [=](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) y[i] = Op::gradient(y[i], mask[i]);
    });
  });
}

// ---- reference

// The derivative, from the input (relu: from the output).
double slope(cpu::Act act, double x) {
  if (act == cpu::Act::Relu) return x <= 0 ? 0 : 1;
  if (act == cpu::Act::Gelu) return 0.5 * std::erfc(-x * M_SQRT1_2) + x * std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI);
  const double c = 2 * std::sqrt(M_2_PI), s = 1 / (1 + std::exp(-c * (x + 0.044715 * x * x * x)));
  return s + x * s * (1 - s) * c * (1 + 3 * 0.044715 * x * x);
}

void prepare_reference(const NodeSpec& node, Prepare& p) {
  const MatmulNode& s = p.state<MatmulNode>(node);
  if (s.packed) p.scratch(static_cast<size_t>(s.k * s.n) * size_of(node.in[0].dtype));
}
void run_reference(const Call& c) {
  visit_factors(c.in_spec(0).dtype, "matmul", [&]<class Factor, class T> {
    const auto& s = c.state<MatmulNode>();
    const T* bias = s.bias < 0 ? nullptr : c.in<T>(s.bias);
    const T* residual = s.residual < 0 ? nullptr : c.in<T>(s.residual);
    const auto put = [&](int output, bool low, int64_t at, double x) {
      low ? static_cast<void>(c.out<bf16>(output)[at] = bf16(static_cast<float>(x)))
          : static_cast<void>(c.out<T>(output)[at] = static_cast<T>(x));
    };
    const Factor* b = c.in<Factor>(1);
    if (s.packed) {
      Factor* plain = c.scratch_as<Factor>();
      for (int64_t k = 0; k < s.k; ++k)
        for (int64_t j = 0; j < s.n; ++j) plain[k * s.n + j] = b[packed_place(s.n, s.k, k, j)];
      b = plain;
    }
    reference_product(s.m, s.n, s.k, c.in<Factor>(0), s.trans_a, b, s.trans_b, [&](int64_t i, int64_t j, double sum) {
      const int64_t at = i * s.n + j;
      if (bias != nullptr) sum += static_cast<double>(bias[j]);
      if (residual != nullptr) sum += static_cast<double>(residual[at]);
      if (s.preact) put(1, s.bf16_preact, at, sum);
      sum = activation(s.act, sum);
      // not sum * 0: the gradient of relu stops infinities
      double by = 1;
      if (s.mask >= 0)
        by = slope(s.mask_act, s.bf16_mask ? double{c.in<bf16>(s.mask)[at]} : static_cast<double>(c.in<T>(s.mask)[at]));
      put(0, s.bf16_out, at, by == 0 ? 0 : sum * by);
    });
  });
}

}  // namespace

std::vector<KernelDef> matmul_kernels() {
  return {{.name = "packed", .reject = reject_packed, .prepare = prepare_packed, .run = run_packed},
          {.name = "onednn", .reject = reject_onednn, .prepare = prepare_onednn, .run = run_onednn},
          {.name = "onednn_bf16", .reject = reject_onednn_bf16, .prepare = prepare_onednn, .run = run_onednn_bf16},
          {.name = "reference", .prepare = prepare_reference, .run = run_reference}};
}

}  // namespace winnow::detail
