#include "ops/cast.h"

#include <limits>

#include "core/samples.h"
#include "ops/detail/blocks.h"

namespace winnow {

Value cast(Value x, DType dtype, Loc loc) {
  if (x.dtype() == dtype) return x;
  return x.graph->apply("cast", {x}, {{"dtype", std::string(name_of(dtype))}}, loc);
}

namespace {

constexpr DType kTypes[] = {DType::F32, DType::F64, DType::BF16, DType::I32, DType::I64, DType::U8};
constexpr const char* kTypeNames = "f32, f64, bf16, i32, i64 or u8";

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
  in.check(type != nullptr, "dtype '{}' is none of {}", name, kTypeNames);
  in.out(*type, in.shape(0));
}
void record_gradient(Grad& g) { g.dx(0, cast(g.dy(), g.x(0).dtype(), g.loc())); }

template <class T>
constexpr bool kFloating = std::is_floating_point_v<T> || std::is_same_v<T, bf16>;

template <class To, class From>
To converted(From x) {
  if constexpr (std::is_same_v<From, bf16> && !std::is_same_v<To, bf16>) {
    return converted<To>(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, bf16>) {
    return To(static_cast<float>(x));
  } else if constexpr (kFloating<To>) {
    return static_cast<To>(x);
  } else if constexpr (kFloating<From>) {
    constexpr From kLow = static_cast<From>(std::numeric_limits<To>::min());
    constexpr From kEnd = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * From(2);  // max + 1, exactly
    if (!(x >= kLow)) return x < kLow ? std::numeric_limits<To>::min() : To(0);
    return x >= kEnd ? std::numeric_limits<To>::max() : static_cast<To>(x);
  } else {
    if (std::cmp_less(x, std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    return std::cmp_greater(x, std::numeric_limits<To>::max()) ? std::numeric_limits<To>::max() : static_cast<To>(x);
  }
}

template <class F>
void visit_type(DType t, F&& f) {
  switch (t) {
    case DType::F32: return f.template operator()<float>();
    case DType::F64: return f.template operator()<double>();
    case DType::BF16: return f.template operator()<bf16>();
    case DType::I32: return f.template operator()<int32_t>();
    case DType::I64: return f.template operator()<int64_t>();
    case DType::U8: return f.template operator()<uint8_t>();
    case DType::I8: break;
  }
  raise<DTypeError>("cast(): {} is none of {}", name_of(t), kTypeNames);
}

void run_cast(const Call& c) {
  visit_type(c.in_spec(0).dtype, [&]<class From> {
    visit_type(c.out_spec(0).dtype, [&]<class To> {
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
