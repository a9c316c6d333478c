#include "core/cpu/onednn_matmul.h"
#include "core/cpu/sgemm.h"
#include "core/samples.h"
#include "ops/detail/factors.h"
#include "ops/detail/reference_product.h"
#include "ops/matmul.h"

namespace winnow {

WeightGradient linear_weight_grad(Value x, Value dy, bool with_bias, Loc loc) {
  const auto out = x.graph->apply_all("linear_weight_grad", {x, dy}, {{"has_bias", int64_t{with_bias}}}, loc);
  return {out[0], with_bias ? out[1] : Value{}};
}

namespace {

void infer(Infer& f) {
  f.expect_inputs(2);
  const DType sum = detail::expect_factors(f);
  const Shape &x = f.shape(0), &dy = f.shape(1);
  f.check(x.rank() >= 2 && dy.rank() >= 2, "x {} and dy {} need at least 2 axes", x.str(), dy.str());
  const int64_t rows = x.outer(x.rank() - 1), dy_rows = dy.outer(dy.rank() - 1);
  f.check(rows == dy_rows, "x {} and dy {} differ in rows: {} != {}", x.str(), dy.str(), rows, dy_rows);
  f.out(sum, Shape{x.back(), dy.back()});
  if (f.attrs().flag("has_bias")) f.out(sum, Shape{dy.back()});
}

// dW = x^T dy, db = sum dy: with G and h their gradients, dx = dy G^T and ddy = x G + h.
void grad(Grad& g) {
  detail::expect_f32_factors(g, "linear_weight_grad");
  const Value of_weight = g.dy(0), of_bias = g.attrs().flag("has_bias") ? g.dy(1) : Value{};
  const Value x = g.x(0), dy = g.x(1);
  if (of_weight && g.needs(0)) g.dx(0, matmul(dy, of_weight, false, true, g.loc()));
  if (!g.needs(1)) return;
  if (of_weight) {
    g.dx(1, linear(x, of_weight, of_bias, g.loc()));
  } else if (of_bias) {
    const auto dims = dy.shape().dims();
    g.dx(1, g.apply("broadcast_to", {of_bias}, {{"shape", std::vector<int64_t>(dims.begin(), dims.end())}}));
  }
}

struct State {
  int64_t rows, k, n;
  bool bias;
  explicit State(const NodeSpec& node)
      : rows(node.in[0].shape.outer(node.in[0].shape.rank() - 1)),
        k(node.in[0].shape.back()),
        n(node.in[1].shape.back()),
        bias(node.attrs.flag("has_bias")) {}
  cpu::SgemmProblem problem() const {
    cpu::SgemmProblem p;
    p.m = static_cast<size_t>(k), p.n = static_cast<size_t>(n), p.k = static_cast<size_t>(rows);
    p.trans_a = true, p.lda = p.m, p.ldb = p.n, p.ldc = p.n;
    return p;
  }
};

Cost cost(const NodeSpec& node) {
  const State s(node);
  const auto rows = static_cast<double>(s.rows), k = static_cast<double>(s.k), n = static_cast<double>(s.n);
  return {2 * rows * k * n + (s.bias ? rows * n : 0),
          static_cast<double>(size_of(node.in[0].dtype)) * rows * (k + n) +
              static_cast<double>(size_of(node.out[0].dtype)) * n * (k + 1)};
}

const char* reject_packed(const NodeSpec& node, const DeviceInfo&) { return detail::reject_all_but_f32_factors(node); }
void prepare_packed(const NodeSpec& node, Prepare& p) {
  const State& s = p.state<State>(node);
  p.scratch(cpu::sgemm_workspace_bytes(s.problem(), {}));  // colsum_b needs none
}
void run_packed(const Call& c) {
  const auto& s = c.state<State>();
  cpu::SgemmProblem problem = s.problem();
  problem.a = c.in<float>(0), problem.b = c.in<float>(1), problem.c = c.out<float>(0);
  cpu::SgemmEpilogue epilogue;
  if (s.bias) epilogue.colsum_b = c.out<float>(1);
  cpu::sgemm(problem, epilogue, c.scratch);
}

struct Bf16 : State {
  cpu::OneDnnMatmul matmul;
  Bf16(const NodeSpec& node, int threads)
      : State(node), matmul({.m = k, .n = n, .k = rows, .trans_a = true, .threads = threads, .bf16 = true}) {}
};

const char* reject_onednn_bf16(const NodeSpec& node, const DeviceInfo& device) {
  if (const char* reason = detail::reject_all_but_bf16_factors(node, device)) return reason;
  const State s(node);
  return s.rows * s.k * s.n == 0 ? "an extent is 0" : nullptr;
}
void prepare_onednn_bf16(const NodeSpec& node, Prepare& p) {
  p.scratch(p.state<Bf16>(node, p.device().threads).matmul.scratch_bytes());
}
// Sums over rows, 32 columns at a time: f32 within 256 rows, double over these.
void sum_columns(int64_t rows, int64_t n, const bf16* dy, float* out) {
  constexpr int64_t kColumns = 32, kRows = 256;
  parallel_for((n + kColumns - 1) / kColumns, 1, [&](int64_t first, int64_t last) {
    for (int64_t j0 = first * kColumns; j0 < std::min(n, last * kColumns); j0 += kColumns) {
      const int64_t columns = std::min(kColumns, n - j0);
      double total[kColumns] = {};
      for (int64_t r0 = 0; r0 < rows; r0 += kRows) {
        float sum[kColumns] = {};
        for (int64_t r = r0; r < std::min(rows, r0 + kRows); ++r)
          for (int64_t j = 0; j < columns; ++j) sum[j] += static_cast<float>(dy[r * n + j0 + j]);
        for (int64_t j = 0; j < columns; ++j) total[j] += static_cast<double>(sum[j]);
      }
      for (int64_t j = 0; j < columns; ++j) out[j0 + j] = static_cast<float>(total[j]);
    }
  });
}
void run_onednn_bf16(const Call& c) {
  const auto& s = c.state<Bf16>();
  s.matmul.run(c.in<bf16>(0), c.in<bf16>(1), nullptr, nullptr, nullptr, c.out<float>(0), c.scratch);
  if (s.bias) sum_columns(s.rows, s.n, c.in<bf16>(1), c.out<float>(1));
}

void prepare_reference(const NodeSpec& node, Prepare& p) { p.state<State>(node); }
void run_reference(const Call& c) {
  detail::visit_factors(c.in_spec(0).dtype, "linear_weight_grad", [&]<class Factor, class T> {
    const auto& s = c.state<State>();
    T* out = c.out<T>(0);
    detail::reference_product(s.k, s.n, s.rows, c.in<Factor>(0), true, c.in<Factor>(1), false,
                              [&](int64_t i, int64_t j, double sum) { out[i * s.n + j] = static_cast<T>(sum); });
    if (!s.bias) return;
    const Factor* dy = c.in<Factor>(1);
    for (int64_t j = 0; j < s.n; ++j) {
      double sum = 0;
      for (int64_t i = 0; i < s.rows; ++i) sum += static_cast<double>(dy[i * s.n + j]);
      c.out<T>(1)[j] = static_cast<T>(sum);
    }
  });
}

void samples(Samples& s) {
  const Attrs bias = {{"has_bias", int64_t{1}}};
  s.add({.name = "odd", .in = {f32({7, 5}), f32({7, 3})}});
  s.add({.name = "odd_bias", .in = {f32({19, 11}), f32({19, 6})}, .attrs = bias});
  s.add({.name = "leading_axes_bias", .in = {f32({2, 4, 5}), f32({2, 4, 3})}, .attrs = bias});
  s.add({.name = "one_column", .in = {f32({23, 9}), f32({23, 1})}, .attrs = bias});
  s.add({.name = "one_input", .in = {f32({23, 1}), f32({23, 9})}, .attrs = bias});
  s.add({.name = "one_row", .in = {f32({1, 6}), f32({1, 4})}, .attrs = bias});
  s.add({.name = "no_rows", .in = {f32({0, 6}), f32({0, 4})}, .attrs = bias, .constant_ok = true});
  s.add({.name = "sliced_rows", .in = {f32({8200, 45}), f32({8200, 37})}, .attrs = bias, .grad = false});
  s.add({.name = "one_column_8192", .in = {f32({8192, 256}), f32({8192, 1})}, .attrs = bias, .grad = false});
  s.add({.name = "ctr_2048", .in = {f32({2048, 429}), f32({2048, 256})}, .attrs = bias, .grad = false, .bench = true});
  const auto low = [](const Shape& shape) { return Arg{{DType::BF16, shape}, Fill::normal(), false}; };
  s.add({.name = "bf16_bias", .in = {low({419, 45}), low({419, 37})}, .attrs = bias, .grad = false});
  s.add({.name = "bf16_one_column", .in = {low({23, 9}), low({23, 1})}, .attrs = bias, .grad = false});
  s.add({.name = "bf16_padded", .in = {low({100, 77}), low({100, 90})}, .attrs = bias, .grad = false});
  s.add({.name = "bf16_no_rows", .in = {low({0, 6}), low({0, 4})}, .attrs = bias, .grad = false, .constant_ok = true});
  s.add({.name = "bf16_transformer",
         .in = {low({2048, 384}), low({2048, 768})},
         .attrs = bias,
         .grad = false,
         .bench = true});
  s.add({.name = "tf32",
         .in = {f32({70, 9}, Fill::integers(-8, 8)), f32({70, 11}, Fill::integers(-8, 8))},
         .attrs = {{"has_bias", int64_t{1}}, {"tf32", int64_t{1}}},
         .grad = false});
  s.add({.name = "bf16_and_f32", .in = {f32({7, 5}), low({7, 3})}, .throws = "inputs 0 and 1 differ"});
  s.add({.name = "rows_differ", .in = {f32({7, 5}), f32({8, 3})}, .throws = "differ in rows: 7 != 8"});
  s.add({.name = "vector", .in = {f32({7}), f32({7, 3})}, .throws = "need at least 2 axes"});
}

}  // namespace

void register_linear_weight_grad(Registry& r) {
  r.add({.name = "linear_weight_grad",
         .doc = "x [..., K], dy [..., N] -> dW [K, N] = x^T dy and, with has_bias, db [N] = sum of dy over rows",
         .infer = infer,
         .grad = grad,
         .cost = cost,
         .samples = samples,
         .tolerance = {.ulp = 4, .sum = 64, .exact_integers = true},  // as matmul
         .kernels = {{.name = "packed", .reject = reject_packed, .prepare = prepare_packed, .run = run_packed},
                     {.name = "onednn_bf16",
                      .reject = reject_onednn_bf16,
                      .prepare = prepare_onednn_bf16,
                      .run = run_onednn_bf16},
                     {.name = "reference", .prepare = prepare_reference, .run = run_reference}},
         .factors = {0, 1}});
}

}  // namespace winnow
