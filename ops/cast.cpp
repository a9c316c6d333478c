#include "ops/cast.h"

#include "core/samples.h"
#include "ops/detail/blocks.h"
#include "ops/detail/convert.h"

namespace winnow {

Value cast(Value x, DType dtype, Loc loc) {
  if (x.dtype() == dtype) return x;
  return x.graph->apply("cast", {x}, {{"dtype", std::string(name_of(dtype))}}, loc);
}

namespace {

using detail::converted;

constexpr DType kTypes[] = {DType::F32, DType::F64, DType::BF16, DType::I32, DType::I64, DType::U8};

const DType* find_type(const std::string& name) {
  for (const DType& t : kTypes)
    if (name == name_of(t)) return &t;
  return nullptr;
}

void infer_cast(Infer& in) {
  in.expect_inputs(1);
  in.expect_dtype(0, {DType::F32, DType::F64, DType::BF16, DType::I32, DType::I64, DType::U8});
  const std::string& name = in.attrs().text("dtype");
  const DType* type = find_type(name);
  in.check(type != nullptr, "dtype '{}' is none of {}", name, detail::kConvertible);
  in.out(*type, in.shape(0));
}
void record_gradient(Grad& g) { g.dx(0, cast(g.dy(), g.x(0).dtype(), g.loc())); }

void run_cast(const Call& c) {
  detail::visit_convertible(c.in_spec(0).dtype, [&]<class From> {
    detail::visit_convertible(c.out_spec(0).dtype, [&]<class To> {
      const From* x = c.in<From>(0);
      To* y = c.out<To>(0);
      detail::for_blocks(c.out_numel(0), [=](int64_t begin, int64_t end) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) y[i] = converted<To>(x[i]);
      });
    });
  });
}

Attrs to(const char* name) { return {{"dtype", std::string(name)}}; }

void samples_cast(Samples& s) {
  for (const DType from : kTypes)
    for (const DType type : kTypes) {
      const bool differentiable = from == DType::F32 && type == DType::F64;  // elsewhere y is a staircase
      s.add({.name = fmt::format("{} to {}", name_of(from), name_of(type)),
             .in = {{{from, {31, 33}}, is_float(from) ? Fill::normal(100) : Fill::integers(1, 200), differentiable}},
             .attrs = to(name_of(type)),
             .grad = differentiable,
             .bench = from == DType::F32 && type == DType::BF16,
             .constant_ok = type == DType::U8});
    }
  s.add({.name = "rank 0", .in = {f32({})}, .attrs = to("f64"), .constant_ok = true});
  s.add({.name = "empty", .in = {f32({0, 5})}, .attrs = to("bf16"), .grad = false, .constant_ok = true});
  s.add({.name = "beyond i32",
         .in = {fixed(f32({6}, Fill::of({-3e9, 3e9, 2147483648.0, -2147483648.0, -1.75, 1.75})))},
         .attrs = to("i32"),
         .grad = false});
  s.add({.name = "beyond i64",
         .in = {fixed(f32({4}, Fill::of({-1e19, 1e19, -1e18, 1e18})))},
         .attrs = to("i64"),
         .grad = false});
  s.add(
      {.name = "i64 beyond i32", .in = {i64({4}, Fill::of({-1e10, 1e10, -7, 7}))}, .attrs = to("i32"), .grad = false});
  s.add({.name = "unknown type", .in = {f32({7})}, .attrs = to("f16"), .throws = "dtype 'f16' is none of f32, f64"});
  s.add({.name = "from i8",
         .in = {{{DType::I8, {7}}, Fill::integers(0, 1)}},
         .attrs = to("f32"),
         .throws = "input 0 is i8 [7]"});
}

}  // namespace

void register_cast(Registry& r) {
  OpDef op;
  op.name = "cast";
  op.doc = "y = x converted to attr dtype; floats to integers towards zero, saturating, NaN to 0";
  op.infer = infer_cast;
  op.grad = record_gradient;
  op.samples = samples_cast;
  op.tolerance = {.ulp = 1, .exact_integers = true};
  op.kernels = {{.name = "reference", .run = run_cast}};
  r.add(std::move(op));
}

}  // namespace winnow
