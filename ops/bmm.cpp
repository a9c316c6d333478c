#include <omp.h>

#include "core/cpu/sgemm.h"
#include "core/samples.h"
#include "ops/detail/reference_product.h"
#include "ops/matmul.h"

namespace winnow {

Value bmm(Value a, Value b, bool trans_a, bool trans_b, Loc loc) {
  return a.graph->apply("bmm", {a, b}, {{"trans_a", int64_t{trans_a}}, {"trans_b", int64_t{trans_b}}}, loc);
}

namespace {

void infer(Infer& f) {
  f.expect_inputs(2);
  const bool trans_a = f.attrs().flag("trans_a"), trans_b = f.attrs().flag("trans_b");
  for (int i = 0; i < 2; ++i) {
    f.expect_dtype(i, {DType::F32, DType::F64});
    f.expect_rank(i, 3);
  }
  f.expect_same_dtype(0, 1);
  const Shape &a = f.shape(0), &b = f.shape(1);
  f.check(a[0] == b[0], "a {} and b {}: batch {} != {}", a.str(), b.str(), a[0], b[0]);
  const int64_t ka = a[trans_a ? 1 : 2], kb = b[trans_b ? 2 : 1];
  f.check(ka == kb, "{} {} @ {} {}: inner dims {} != {}", trans_a ? "a^T" : "a", a.str(), trans_b ? "b^T" : "b",
          b.str(), ka, kb);
  f.out(f.dtype(0), Shape{a[0], a[trans_a ? 2 : 1], b[trans_b ? 1 : 2]});
}

void grad(Grad& g) {
  const bool trans_a = g.attrs().flag("trans_a"), trans_b = g.attrs().flag("trans_b");
  const Value a = g.x(0), b = g.x(1), dy = g.dy();
  if (g.needs(0)) g.dx(0, trans_a ? bmm(b, dy, trans_b, true, g.loc()) : bmm(dy, b, false, !trans_b, g.loc()));
  if (g.needs(1)) g.dx(1, trans_b ? bmm(dy, a, true, trans_a, g.loc()) : bmm(a, dy, !trans_a, false, g.loc()));
}

struct State {
  int64_t batch, m, n, k;
  bool trans_a, trans_b;
  cpu::SgemmProblem problem;  // of one item
  size_t workspace = 0;       // of one thread
  int threads = 1;            // that have one
  explicit State(const NodeSpec& node)
      : batch(node.out[0].shape[0]),
        m(node.out[0].shape[1]),
        n(node.out[0].shape[2]),
        trans_a(node.attrs.flag("trans_a")),
        trans_b(node.attrs.flag("trans_b")) {
    k = node.in[0].shape[trans_a ? 1 : 2];
    problem.m = static_cast<size_t>(m), problem.n = static_cast<size_t>(n), problem.k = static_cast<size_t>(k);
    problem.trans_a = trans_a, problem.trans_b = trans_b;
    problem.lda = trans_a ? problem.m : problem.k, problem.ldb = trans_b ? problem.k : problem.n;
    problem.ldc = problem.n;
  }
};

Cost cost(const NodeSpec& node) {
  const State s(node);
  Cost c{
      2 * static_cast<double>(s.batch) * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k),
      0};
  c.bytes = static_cast<double>(node.in[0].bytes() + node.in[1].bytes() + node.out[0].bytes());
  return c;
}

const char* reject_packed(const NodeSpec& node, const DeviceInfo&) {
  return node.in[0].dtype == DType::F32 ? nullptr : "f32 only";
}
void prepare_packed(const NodeSpec& node, Prepare& p) {
  State& s = p.state<State>(node);
  s.workspace = (cpu::sgemm_workspace_bytes(s.problem, {}) + 4095) / 4096 * 4096;
  s.threads = std::max(1, p.device().threads);
  p.scratch(s.workspace * static_cast<size_t>(s.threads));
}
void run_packed(const Call& c) {
  const auto& s = c.state<State>();
  const auto item = [&](int64_t i, int thread) {
    cpu::SgemmProblem problem = s.problem;
    problem.a = c.in<float>(0) + i * s.m * s.k, problem.b = c.in<float>(1) + i * s.k * s.n;
    problem.c = c.out<float>(0) + i * s.m * s.n;
    cpu::sgemm(problem, {}, c.scratch_as<char>() + s.workspace * static_cast<size_t>(thread));
  };
  const int team = std::min(num_threads(), s.threads);
  if (s.batch < team || team == 1 || omp_in_parallel() != 0) {  // few items: the whole team on each
    for (int64_t i = 0; i < s.batch; ++i) item(i, 0);
    return;
  }
#pragma omp parallel for num_threads(team) schedule(static)
  for (int64_t i = 0; i < s.batch; ++i) item(i, omp_get_thread_num());
}

void prepare_reference(const NodeSpec& node, Prepare& p) { p.state<State>(node); }
void run_reference(const Call& c) {
  visit_float(c.in_spec(0).dtype, "bmm", [&]<class T> {
    const auto& s = c.state<State>();
    for (int64_t i = 0; i < s.batch; ++i) {
      T* out = c.out<T>(0) + i * s.m * s.n;
      detail::reference_product<T>(s.m, s.n, s.k, c.in<T>(0) + i * s.m * s.k, s.trans_a, c.in<T>(1) + i * s.k * s.n,
                                   s.trans_b,
                                   [&](int64_t r, int64_t j, double sum) { out[r * s.n + j] = static_cast<T>(sum); });
    }
  });
}

void samples(Samples& s) {
  const Attrs ta = {{"trans_a", int64_t{1}}}, tb = {{"trans_b", int64_t{1}}};
  s.add({.name = "odd", .in = {f32({3, 5, 7}), f32({3, 7, 2})}});
  s.add({.name = "odd_ta", .in = {f32({3, 7, 5}), f32({3, 7, 2})}, .attrs = ta});
  s.add({.name = "odd_tb", .in = {f32({2, 5, 7}), f32({2, 3, 7})}, .attrs = tb});
  s.add({.name = "odd_ta_tb",
         .in = {f32({2, 7, 4}), f32({2, 3, 7})},
         .attrs = {{"trans_a", int64_t{1}}, {"trans_b", int64_t{1}}}});
  s.add({.name = "one_item", .in = {f32({1, 4, 3}), f32({1, 3, 6})}});
  s.add({.name = "ones", .in = {f32({5, 1, 1}), f32({5, 1, 1})}});
  s.add({.name = "no_items", .in = {f32({0, 2, 3}), f32({0, 3, 4})}, .constant_ok = true});
  s.add({.name = "k_zero", .in = {f32({2, 2, 0}), f32({2, 0, 4})}, .constant_ok = true});
  s.add({.name = "attention_scores",
         .in = {f32({64, 50, 32}), f32({64, 50, 32})},
         .attrs = tb,
         .grad = false,
         .bench = true});
  s.add({.name = "few_large", .in = {f32({2, 200, 130}), f32({2, 130, 70})}, .grad = false});
  s.add({.name = "batch_differs", .in = {f32({2, 2, 3}), f32({3, 3, 4})}, .throws = "batch 2 != 3"});
  s.add({.name = "inner_dims", .in = {f32({2, 2, 3}), f32({2, 4, 4})}, .throws = "inner dims 3 != 4"});
}

}  // namespace

void register_bmm(Registry& r) {
  r.add({.name = "bmm",
         .doc = "op(a) [B, M, K] @ op(b) [B, K, N] -> [B, M, N]",
         .infer = infer,
         .grad = grad,
         .cost = cost,
         .samples = samples,
         .tolerance = {.ulp = 4, .sum = 32, .exact_integers = true},
         .kernels = {{.name = "packed", .reject = reject_packed, .prepare = prepare_packed, .run = run_packed},
                     {.name = "reference", .prepare = prepare_reference, .run = run_reference}}});
}

}  // namespace winnow
