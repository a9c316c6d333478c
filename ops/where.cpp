#include "ops/where.h"

#include "core/samples.h"
#include "ops/detail/broadcast.h"
#include "ops/reduce.h"

namespace winnow {

Value where(Value condition, Value a, Value b, Loc loc) { return a.graph->apply("where", {condition, a, b}, {}, loc); }

namespace {

using namespace detail;

void infer_where(Infer& in) {
  in.expect_inputs(3);
  in.expect_dtype(1, {DType::F32, DType::F64});
  in.expect_same_dtype(1, 2);
  in.expect_dtype(0, {DType::U8, in.dtype(1)});
  try {
    in.out(in.dtype(1), broadcast(broadcast(in.shape(1), in.shape(2)), in.shape(0)));
  } catch (const ShapeError& error) { in.fail(error.what()); }
}

void record_gradient(Grad& g) {
  const Value zero = g.graph().scalar(0, g.dy().dtype());
  if (g.needs(1)) g.dx(1, sum_to(g.apply("where", {g.x(0), g.dy(), zero}), g.x(1).shape(), g.loc()));
  if (g.needs(2)) g.dx(2, sum_to(g.apply("where", {g.x(0), zero, g.dy()}), g.x(2).shape(), g.loc()));
}

void prepare(const NodeSpec& node, Prepare& p) {
  p.state<BroadcastPlan<3>>(
      plan_broadcast<3>(node.out[0].shape, {node.in[0].shape, node.in[1].shape, node.in[2].shape}));
}

// f.operator()<C, T>() with the types of the condition and of the operands.
template <class F>
void visit_types(const Call& c, F&& f) {
  visit_float(c.out_spec(0).dtype, "where", [&]<class T> {
    c.in_spec(0).dtype == DType::U8 ? f.template operator()<uint8_t, T>() : f.template operator()<T, T>();
  });
}

template <unsigned kDense, class C, class T>
void run_row(const C* condition, const T* a, const T* b, T* y, int64_t n) {
  const RowOperand<(kDense & 1u) != 0, C> taken(condition);
  const RowOperand<(kDense & 2u) != 0, T> first(a);
  const RowOperand<(kDense & 4u) != 0, T> second(b);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T one = first[i], other = second[i];
    y[i] = taken[i] != C(0) ? one : other;
  }
}
void run_rows(const Call& c) {
  visit_types(c, [&]<class C, class T> {
    const auto& plan = c.state<BroadcastPlan<3>>();
    const C* condition = c.in<C>(0);
    const T *a = c.in<T>(1), *b = c.in<T>(2);
    T* y = c.out<T>(0);
    visit_dense(plan, [&]<unsigned kDense>(std::integral_constant<unsigned, kDense>) {
      for_rows(plan, [=](int64_t out, const Offsets<3>& in, int64_t n) {
        run_row<kDense>(condition + in[0], a + in[1], b + in[2], y + out, n);
      });
    });
  });
}
void run_reference(const Call& c) {
  visit_types(c, [&]<class C, class T> {
    const Shape& shape = c.out_spec(0).shape;
    const auto at = [&](int input, int64_t i) { return broadcast_offset(shape, c.in_spec(input).shape, i); };
    parallel_for(c.out_numel(0), kGrainElements / 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        c.out<T>(0)[i] = c.in<C>(0)[at(0, i)] != C(0) ? c.in<T>(1)[at(1, i)] : c.in<T>(2)[at(2, i)];
    });
  });
}

Arg u8(const Shape& shape) { return {{DType::U8, shape}, Fill::integers(0, 1), false}; }
Arg mask(const Shape& shape) { return fixed(f32(shape, Fill::integers(0, 1))); }

void samples_where(Samples& s) {
  s.add({.name = "bytes", .in = {u8({31, 33}), f32({31, 33}), f32({31, 33})}, .constant_ok = false});
  s.add({.name = "float mask", .in = {mask({129}), f32({129}), f32({129})}});
  s.add({.name = "one", .in = {u8({1}), f32({1}), f32({1})}, .constant_ok = true});
  s.add({.name = "rank 0", .in = {mask({}), f32({}), f32({})}, .constant_ok = true});
  s.add({.name = "empty", .in = {u8({0, 5}), f32({0, 5}), f32({5})}, .constant_ok = true});
  s.add({.name = "row mask", .in = {mask({17, 1}), f32({17, 9}), f32({})}});
  s.add({.name = "column mask", .in = {u8({7}), f32({}), f32({11, 7})}});
  s.add({.name = "rows of both", .in = {u8({5, 7}), f32({7}), f32({5, 1})}});
  s.add({.name = "mask of higher rank", .in = {mask({3, 4, 1}), f32({4, 5}), f32({5})}});
  s.add({.name = "mask and one operand repeat", .in = {u8({}), f32({6, 5}), f32({1, 5})}, .constant_ok = true});
  s.add({.name = "second only", .in = {mask({4, 1}), f32({1}), f32({4, 6})}});
  s.add({.name = "batch",
         .in = {u8({4096, 1}), f32({4096, 256}), f32({})},
         .grad = false,
         .bench = true,
         .constant_ok = false});
  s.add({.name = "integer condition",
         .in = {i64({7}, Fill::integers(0, 1)), f32({7}), f32({7})},
         .throws = "expected u8 or f32"});
  s.add({.name = "unequal", .in = {u8({3}), f32({7, 4}), f32({4})}, .throws = "do not broadcast: 4 != 3 at axis 1"});
  s.add({.name = "two inputs", .in = {u8({7}), f32({7})}, .throws = "expected 3 inputs, got 2"});
}

}  // namespace

void register_where(Registry& r) {
  OpDef op;
  op.name = "where";
  op.doc = "y = condition != 0 ? a : b, NumPy broadcasting; condition u8 or a float mask";
  op.infer = infer_where;
  op.grad = record_gradient;
  op.samples = samples_where;
  op.tolerance = {.ulp = 0, .exact_integers = true};
  op.kernels = {{.name = "rows", .prepare = prepare, .run = run_rows}, {.name = "reference", .run = run_reference}};
  op.inplace = {{1, 0}, {2, 0}};
  r.add(std::move(op));
}

}  // namespace winnow
