#include "ops/regularize.h"

#include "core/samples.h"
#include "ops/detail/penalties.h"
#include "ops/detail/scalar_input.h"
#include "ops/detail/squares.h"

namespace winnow {
namespace {

using detail::L1, detail::L2;

void infer(Infer& in) {
  in.expect_inputs(1);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.out(in.dtype(0), {});
}
void infer_grad(Infer& in) {
  in.expect_inputs(2);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_same_dtype(0, 1);
  in.expect_shape(0, {});
  in.out(in.in(1));
}

template <class P>
void grad(Grad& g) {
  WN_CHECK(!g.row_sparse(0), Error,
           "{}(): the input is a row-sparse table; penalise looked-up rows, or every row through l1 / l2 of "
           "sparse_adam ({})",
           P::kName, at_source(g.loc()));
  g.dx(0, g.apply(std::string(P::kName) + "_grad", {g.dy(), g.x(0)}));
}

void prepare(const NodeSpec& n, Prepare& p) {
  p.scratch(static_cast<size_t>(sum_blocks(n.in[0].shape.numel())) * sizeof(double));
}

template <class P>
void run(const Call& c) {
  auto* partial = c.scratch_as<double>();
  block_sums(c.in<float>(0), c.in_numel(0), partial, [](float x) { return P::f(x); });
  double total = 0;
  for (int64_t q = 0; q < sum_blocks(c.in_numel(0)); ++q) total += partial[q];
  *c.out<float>(0) = static_cast<float>(total);
}
template <class P>
void run_reference(const Call& c) {
  visit_float(c.in_spec(0).dtype, P::kName, [&]<class T>() {
    double total = 0;
    for (int64_t j = 0; j < c.in_numel(0); ++j) total += P::f(static_cast<double>(c.in<T>(0)[j]));
    *c.out<T>(0) = static_cast<T>(total);
  });
}

template <class P>
void run_grad(const Call& c) {
  visit_float(c.in_spec(1).dtype, P::kName, [&]<class T>() {
    const T dy = *c.in<T>(0);
    const int64_t n = c.in_numel(1);
    parallel_for(sum_blocks(n), 4, [&](int64_t begin, int64_t end) {
      for (int64_t q = begin; q < end; ++q) {
        const T* __restrict x = c.in<T>(1) + q * kSumBlock;
        T* __restrict dx = c.out<T>(0) + q * kSumBlock;
        const int64_t size = std::min(kSumBlock, n - q * kSumBlock);
        for (int64_t j = 0; j < size; ++j) dx[j] = dy * P::df(x[j]);
      }
    });
  });
}

void samples(Samples& s) {
  const auto away = Fill::normal(1, {0});
  s.add({"one element", {f32({1}, away)}, {}})
      .add({"odd size", {f32({7, 13}, away)}, {}})
      .add({"beyond one block", {f32({129, 131}, away)}, {}})
      .add({.name = "empty", .in = {f32({0, 3})}, .constant_ok = true})
      .add({.name = "looked-up rows", .in = {f32({2048, 26, 16})}, .grad = false, .bench = true})
      .add({.name = "integers", .in = {i64({3}, Fill::integers(0, 3))}, .throws = "expected f32 or f64"});
}
void samples_grad(Samples& s) {
  const auto away = Fill::normal(1, {0});
  s.add({"one element", {f32({}), f32({1}, away)}, {}})
      .add({"odd size", {f32({}), f32({7, 13}, away)}, {}})
      .add({"beyond one block", {f32({}), f32({129, 131}, away)}, {}})
      .add({.name = "empty", .in = {f32({}), f32({0, 3})}, .constant_ok = true})
      .add({.name = "dy that is no scalar", .in = {f32({2}), f32({3})}, .throws = "input 0 is [2], expected []"});
}

const char* single_only(const NodeSpec& n, const DeviceInfo&) {
  return n.in[0].dtype == DType::F64 ? "f64 runs on the reference" : nullptr;
}

template <class P>
void define(Registry& r, const char* name, const char* doc, const char* grad_name, const char* grad_doc) {
  r.add({.name = name,
         .doc = doc,
         .infer = infer,
         .grad = grad<P>,
         .samples = samples,
         .tolerance = {.ulp = 4},
         .kernels = {{.name = "blocks", .reject = single_only, .prepare = prepare, .run = run<P>},
                     {.name = "reference", .prepare = prepare, .run = run_reference<P>}}});
  r.add({.name = grad_name,
         .doc = grad_doc,
         .infer = infer_grad,
         .no_grad = "first-order only",
         .samples = samples_grad,
         .tolerance = {.ulp = 1, .exact_integers = true},
         .kernels = {{.name = "reference", .run = run_grad<P>}}});
}

}  // namespace

Value l2_penalty(Value x, Loc loc) { return x.graph->apply("l2_penalty", {x}, {}, loc); }
Value l1_penalty(Value x, Loc loc) { return x.graph->apply("l1_penalty", {x}, {}, loc); }

void register_regularize(Registry& r) {
  define<L2>(r, "l2_penalty", "sum x^2 / 2, rank 0", "l2_penalty_grad", "dy [], x -> dy * x");
  define<L1>(r, "l1_penalty", "sum |x|, rank 0", "l1_penalty_grad", "dy [], x -> dy * sign(x)");
}

}  // namespace winnow
