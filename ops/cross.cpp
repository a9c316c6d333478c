// Cross layers of DCN and DCN-v2; contract in ops/interactions.h.
#include "core/samples.h"
#include "ops/detail/blocks.h"
#include "ops/interactions.h"

namespace winnow {
namespace {

using detail::row_blocks;
using detail::rows_per_block;

void infer_v1(Infer& in) {
  in.expect_inputs(4);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_same_dtype(0, 3);
  in.expect_rank(0, 2);
  in.expect_shape(1, in.shape(0));
  for (const int i : {2, 3}) in.expect_shape(i, {in.shape(0)[1]});
  in.out(in.in(0));
}
void infer_v1_grad(Infer& in) {
  in.expect_inputs(4);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_same_dtype(0, 3);
  in.expect_rank(0, 2);
  for (const int i : {1, 2}) in.expect_shape(i, in.shape(0));
  in.expect_shape(3, {in.shape(0)[1]});
  for (int i = 0; i < 2; ++i) in.out(in.in(0));
  for (int i = 0; i < 2; ++i) in.out(in.in(3));
}
void grad_v1(Grad& g) {
  const auto d = g.graph().apply_all("cross_v1_grad", {g.dy(), g.x(0), g.x(1), g.x(2)}, {}, g.loc());
  for (int i = 0; i < 4; ++i) g.dx(i, d[static_cast<size_t>(i)]);
}

// A: type of the sums.
template <class A, class T>
A dot(const T* a, const T* b, int64_t n) {
  A sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < n; ++j) sum += static_cast<A>(a[j]) * static_cast<A>(b[j]);
  return sum;
}

template <class T, class A>
void v1_rows(const Call& c, int64_t begin, int64_t end) {
  const int64_t n = c.in_spec(0).shape[1];
  const T* __restrict w = c.in<T>(2), * __restrict bias = c.in<T>(3);
  for (int64_t b = begin; b < end; ++b) {
    const T* __restrict x0 = c.in<T>(0) + b * n, * __restrict x = c.in<T>(1) + b * n;
    T* __restrict y = c.out<T>(0) + b * n;
    const A s = dot<A>(x, w, n);
    for (int64_t j = 0; j < n; ++j)
      y[j] = static_cast<T>(static_cast<A>(x0[j]) * s + static_cast<A>(bias[j]) + static_cast<A>(x[j]));
  }
}
void run_v1(const Call& c) {
  const Shape& s = c.in_spec(0).shape;
  parallel_for(s[0], detail::grain(s[1]), [&](int64_t begin, int64_t end) { v1_rows<float, float>(c, begin, end); });
}
void run_v1_reference(const Call& c) {
  visit_float(c.in_spec(0).dtype, "cross_v1()", [&]<class T>() { v1_rows<T, double>(c, 0, c.in_spec(0).shape[0]); });
}

// dx0, dx of rows [begin, end); dw and db of them are added to `part`, 2 n sums.
template <class T, class A>
void v1_grad_rows(const Call& c, int64_t begin, int64_t end, A* __restrict part) {
  const int64_t n = c.in_spec(0).shape[1];
  const T* __restrict w = c.in<T>(3);
  for (int64_t b = begin; b < end; ++b) {
    const T* __restrict dy = c.in<T>(0) + b * n, * __restrict x0 = c.in<T>(1) + b * n, * __restrict x = c.in<T>(2) + b * n;
    T* __restrict dx0 = c.out<T>(0) + b * n, * __restrict dx = c.out<T>(1) + b * n;
    const A s = dot<A>(x, w, n), t = dot<A>(dy, x0, n);
    for (int64_t j = 0; j < n; ++j) {
      const A g = static_cast<A>(dy[j]);
      dx0[j] = static_cast<T>(g * s);
      dx[j] = static_cast<T>(g + t * static_cast<A>(w[j]));
      part[j] += t * static_cast<A>(x[j]);
      part[n + j] += g;
    }
  }
}

// Blocks of rows fixed by the shape; their sums are added in order.
template <class T, class A>
void v1_grad(const Call& c, int64_t blocks, int64_t rows) {
  const Shape& s = c.in_spec(0).shape;
  const int64_t n = s[1];
  auto* parts = c.scratch_as<A>();
  std::fill_n(parts, std::max<int64_t>(1, blocks) * 2 * n, A{0});
  parallel_for(blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t q = begin; q < end; ++q)
      v1_grad_rows<T>(c, q * rows, std::min(s[0], (q + 1) * rows), parts + q * 2 * n);
  });
  for (int64_t q = 1; q < blocks; ++q)
    for (int64_t j = 0; j < 2 * n; ++j) parts[j] += parts[q * 2 * n + j];
  for (int64_t j = 0; j < n; ++j) {
    c.out<T>(2)[j] = static_cast<T>(parts[j]);
    c.out<T>(3)[j] = static_cast<T>(parts[n + j]);
  }
}
void run_v1_grad(const Call& c) {
  const int64_t batch = c.in_spec(0).shape[0];
  v1_grad<float, float>(c, row_blocks(batch), rows_per_block(batch));
}
void run_v1_grad_reference(const Call& c) {
  visit_float(c.in_spec(0).dtype, "cross_v1_grad()",
              [&]<class T>() { v1_grad<T, double>(c, 1, c.in_spec(0).shape[0]); });
}

void infer_v2(Infer& in) {
  in.expect_inputs(3);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_same_dtype(0, 2);
  for (const int i : {1, 2}) in.expect_shape(i, in.shape(0));
  in.out(in.in(0));
}
void infer_v2_grad(Infer& in) {
  in.expect_inputs(3);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_same_dtype(0, 2);
  for (const int i : {1, 2}) in.expect_shape(i, in.shape(0));
  for (int i = 0; i < 2; ++i) in.out(in.in(0));
}
void grad_v2(Grad& g) {
  const auto d = g.graph().apply_all("cross_v2_grad", {g.dy(), g.x(0), g.x(1)}, {}, g.loc());
  g.dx(0, d[0]);
  g.dx(1, d[1]);
  g.dx(2, g.dy());
}

template <class T>
void v2(const Call& c) {
  detail::for_blocks(c.in_numel(0), [&](int64_t begin, int64_t end) {
    const T* __restrict x0 = c.in<T>(0), * __restrict u = c.in<T>(1), * __restrict x = c.in<T>(2);
    T* y = c.out<T>(0);
#pragma omp simd
    for (int64_t j = begin; j < end; ++j) y[j] = x0[j] * u[j] + x[j];
  });
}
template <class T>
void v2_grad(const Call& c) {
  detail::for_blocks(c.in_numel(0), [&](int64_t begin, int64_t end) {
    const T* __restrict dy = c.in<T>(0), * __restrict x0 = c.in<T>(1), * __restrict u = c.in<T>(2);
    T* __restrict dx0 = c.out<T>(0), * __restrict du = c.out<T>(1);
#pragma omp simd
    for (int64_t j = begin; j < end; ++j) {
      dx0[j] = dy[j] * u[j];
      du[j] = dy[j] * x0[j];
    }
  });
}

void samples_v1(Samples& s) {
  const auto add = [&](const char* name, int64_t b, int64_t n, bool bench = false) {
    s.add({.name = name,
           .in = {f32({b, n}), f32({b, n}), f32({n}), f32({n})},
           .grad = !bench,
           .bench = bench,
           .constant_ok = b == 0});
  };
  add("one element", 1, 1);
  add("odd sizes", 7, 5);
  add("beyond one block of rows", 150, 33);
  add("no samples", 0, 4);
  add("CTR batch", 2048, 429, true);
  s.add({.name = "w of another length",
         .in = {f32({3, 4}), f32({3, 4}), f32({5}), f32({4})},
         .throws = "input 2 is [5], expected [4]"});
}
void samples_v1_grad(Samples& s) {
  const auto add = [&](const char* name, int64_t b, int64_t n, bool bench = false) {
    s.add({.name = name,
           .in = {f32({b, n}), f32({b, n}), f32({b, n}), f32({n})},
           .grad = !bench,
           .bench = bench,
           .constant_ok = b == 0});
  };
  add("one element", 1, 1);
  add("odd sizes", 7, 5);
  add("beyond one block of rows", 150, 33);
  add("no samples", 0, 4);
  add("CTR batch", 2048, 429, true);
  s.add({.name = "x0 of another shape",
         .in = {f32({3, 4}), f32({3, 5}), f32({3, 4}), f32({4})},
         .throws = "input 1 is [3, 5], expected [3, 4]"});
}
void samples_v2(Samples& s) {
  const auto add = [&](const char* name, const Shape& shape, bool bench = false) {
    s.add({.name = name,
           .in = {f32(shape), f32(shape), f32(shape)},
           .grad = !bench,
           .bench = bench,
           .constant_ok = shape.numel() == 0});
  };
  add("one element", {1, 1});
  add("odd sizes", {7, 5});
  add("beyond one block", {150, 33});
  add("no samples", {0, 4});
  add("CTR batch", {2048, 429}, true);
  s.add({.name = "another shape",
         .in = {f32({3, 4}), f32({4, 3}), f32({3, 4})},
         .throws = "input 1 is [4, 3], expected [3, 4]"});
}

template <void (*as_float)(const Call&), void (*as_double)(const Call&)>
void either(const Call& c) {
  c.in_spec(0).dtype == DType::F64 ? as_double(c) : as_float(c);
}

constexpr Tolerance kElementwise{.ulp = 4, .sum = 4, .exact_integers = true};
constexpr Tolerance kRowSums{.ulp = 8, .sum = 64, .exact_integers = true};

void register_v1(Registry& r) {
  const auto f64 = [](const NodeSpec& n, const DeviceInfo&) -> const char* {
    return n.in[0].dtype == DType::F64 ? "f64 runs on the reference" : nullptr;
  };
  r.add({.name = "cross_v1",
         .doc = "x0, x [B, N], w, b [N] -> x0 * (x . w) + b + x",
         .infer = infer_v1,
         .grad = grad_v1,
         .samples = samples_v1,
         .tolerance = kRowSums,
         .kernels = {{.name = "rows", .reject = f64, .run = run_v1}, {.name = "reference", .run = run_v1_reference}}});
  r.add({.name = "cross_v1_grad",
         .doc = "dy, x0, x [B, N], w [N] -> dx0, dx, dw, db",
         .infer = infer_v1_grad,
         .no_grad = "first-order only",
         .samples = samples_v1_grad,
         .tolerance = kRowSums,
         .kernels = {
             {.name = "row_blocks",
              .reject = f64,
              .prepare =
                  [](const NodeSpec& n, Prepare& p) {
                    const int64_t blocks = std::max<int64_t>(1, row_blocks(n.in[0].shape[0]));
                    p.scratch(static_cast<size_t>(blocks * 2 * n.in[0].shape[1]) * sizeof(float));
                  },
              .run = run_v1_grad},
             {.name = "reference",
              .prepare = [](const NodeSpec& n,
                            Prepare& p) { p.scratch(static_cast<size_t>(2 * n.in[0].shape[1]) * sizeof(double)); },
              .run = run_v1_grad_reference}}});
}

}  // namespace

Value cross_v1(Value x0, Value x, Value w, Value b, Loc loc) {
  return x0.graph->apply("cross_v1", {x0, x, w, b}, {}, loc);
}
Value cross_v2(Value x0, Value u, Value x, Loc loc) { return x0.graph->apply("cross_v2", {x0, u, x}, {}, loc); }

void register_cross(Registry& r) {
  register_v1(r);
  r.add({.name = "cross_v2",
         .doc = "x0, u, x [B, N] -> x0 * u + x",
         .infer = infer_v2,
         .grad = grad_v2,
         .samples = samples_v2,
         .tolerance = kElementwise,
         .kernels = {{.name = "reference", .run = either<v2<float>, v2<double>>}}});
  r.add({.name = "cross_v2_grad",
         .doc = "dy, x0, u [B, N] -> dx0 = dy * u, du = dy * x0",
         .infer = infer_v2_grad,
         .no_grad = "first-order only",
         .samples = samples_v2,
         .tolerance = kElementwise,
         .kernels = {{.name = "reference", .run = either<v2_grad<float>, v2_grad<double>>}}});
}

}  // namespace winnow
