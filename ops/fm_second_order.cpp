#include "core/parallel.h"
#include "core/samples.h"
#include "ops/detail/rows.h"
#include "ops/interactions.h"

namespace winnow {
namespace {

constexpr int64_t kColumns = 128;  // of the sums kept on the stack at a time

void infer(Infer& in) {
  in.expect_inputs(1);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_rank(0, 3);
  in.out(in.dtype(0), {in.shape(0)[0]});
}
void infer_grad(Infer& in) {
  in.expect_inputs(2);
  in.expect_dtype(1, {DType::F32, DType::F64});
  in.expect_same_dtype(0, 1);
  in.expect_rank(1, 3);
  in.expect_shape(0, {in.shape(1)[0]});
  in.out(in.in(1));
}

// Sums over features of columns [0, n) of one sample. D: number of columns where it is fixed, else 0.
template <int D>
void sum_features(const float* __restrict x, int64_t features, int64_t stride, int64_t n, float* __restrict sum) {
  const int64_t d = D > 0 ? D : n;
  std::fill_n(sum, d, 0.f);
  for (int64_t i = 0; i < features; ++i)
#pragma omp simd
    for (int64_t k = 0; k < d; ++k) sum[k] += x[i * stride + k];
}

// Each feature times the sum of those before it: the same sum over pairs, without the cancellation of Rendle's form.
template <int D>
float fm_sample(const float* x, int64_t features, int64_t dim) {
  float total = 0;
  for (int64_t at = 0; at < dim; at += kColumns) {
    const int64_t d = D > 0 ? D : std::min(kColumns, dim - at);
    float sum[D > 0 ? D : kColumns] = {}, product[D > 0 ? D : kColumns] = {};
    for (int64_t k = 0; k < d && features > 0; ++k) sum[k] = x[at + k];
    for (int64_t i = 1; i < features; ++i) {
      const float* __restrict row = x + i * dim + at;
#pragma omp simd
      for (int64_t k = 0; k < d; ++k) product[k] += row[k] * sum[k], sum[k] += row[k];
    }
    float part = 0;
#pragma omp simd reduction(+ : part)
    for (int64_t k = 0; k < d; ++k) part += product[k];
    total += part;
  }
  return total;
}

template <int D>
void fm_gradient(const float* x, float dy, int64_t features, int64_t dim, float* dx) {
  for (int64_t at = 0; at < dim; at += kColumns) {
    const int64_t d = D > 0 ? D : std::min(kColumns, dim - at);
    float sum[D > 0 ? D : kColumns];
    sum_features<D>(x + at, features, dim, d, sum);
    for (int64_t i = 0; i < features; ++i) {
      const float* __restrict row = x + i * dim + at;
      float* __restrict out = dx + i * dim + at;
#pragma omp simd
      for (int64_t k = 0; k < d; ++k) out[k] = dy * (sum[k] - row[k]);
    }
  }
}

void run(const Call& c) {
  const Shape& s = c.in_spec(0).shape;
  const int64_t f = s[1], d = s[2];
  rows::visit_dim(d, [&]<int D>() {
    parallel_for(s[0], 1 + 32768 / (f * d + 1), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) c.out<float>(0)[b] = fm_sample<D>(c.in<float>(0) + b * f * d, f, d);
    });
  });
}
void run_grad(const Call& c) {
  const Shape& s = c.in_spec(1).shape;
  const int64_t f = s[1], d = s[2];
  rows::visit_dim(d, [&]<int D>() {
    parallel_for(s[0], 1 + 16384 / (f * d + 1), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b)
        fm_gradient<D>(c.in<float>(1) + b * f * d, c.in<float>(0)[b], f, d, c.out<float>(0) + b * f * d);
    });
  });
}

template <class T>
void fm_plain(const Call& c) {
  const Shape& s = c.in_spec(0).shape;
  for (int64_t b = 0; b < s[0]; ++b) {
    const T* x = c.in<T>(0) + b * s[1] * s[2];
    double total = 0;
    for (int64_t k = 0; k < s[2] && s[1] > 0; ++k) {
      double sum = static_cast<double>(x[k]);
      for (int64_t i = 1; i < s[1]; ++i) {
        const auto v = static_cast<double>(x[i * s[2] + k]);
        total += v * sum;
        sum += v;
      }
    }
    c.out<T>(0)[b] = static_cast<T>(total);
  }
}
template <class T>
void grad_plain(const Call& c) {
  const Shape& s = c.in_spec(1).shape;
  for (int64_t b = 0; b < s[0]; ++b)
    for (int64_t k = 0; k < s[2]; ++k) {
      const T* x = c.in<T>(1) + b * s[1] * s[2] + k;
      double sum = 0;
      for (int64_t i = 0; i < s[1]; ++i) sum += static_cast<double>(x[i * s[2]]);
      for (int64_t i = 0; i < s[1]; ++i)
        c.out<T>(0)[(b * s[1] + i) * s[2] + k] =
            static_cast<T>(static_cast<double>(c.in<T>(0)[b]) * (sum - static_cast<double>(x[i * s[2]])));
    }
}

const char* single_only(const NodeSpec& n, const DeviceInfo&) {
  return n.in[0].dtype == DType::F64 ? "f64 runs on the reference" : nullptr;
}

void add_samples(Samples& s, bool grad) {
  const auto add = [&](const char* name, int64_t b, int64_t f, int64_t d, bool bench = false) {
    std::vector<Arg> in = {f32({b, f, d})};
    if (grad) in.insert(in.begin(), f32({b}));
    s.add({.name = name, .in = in, .grad = !bench, .bench = bench, .constant_ok = b == 0 || f == 1});
  };
  add("two features", 3, 2, 4);
  add("odd sizes", 5, 7, 3);
  add("one dimension", 4, 9, 1);
  add("dim 16", 3, 26, 16);
  add("dim 300", 2, 5, 300);
  add("one feature: no pairs", 2, 1, 8);
  add("no samples", 0, 5, 8);
  add("CTR batch", 2048, 26, 16, true);
  std::vector<Arg> flat = {f32({3, 4})};
  if (grad) flat.insert(flat.begin(), f32({3}));
  s.add({.name = "features flattened", .in = flat, .throws = "has rank 2, expected 3"});
}

}  // namespace

Value fm_second_order(Value x, Loc loc) { return x.graph->apply("fm_second_order", {x}, {}, loc); }

void register_fm_second_order(Registry& r) {
  r.add({.name = "fm_second_order",
         .doc = "x [B, F, D] -> [B]: sum_d ((sum_f x)^2 - sum_f x^2) / 2",
         .infer = infer,
         .grad =
             [](Grad& g) {
               g.dx(0, g.apply("fm_second_order_grad", {g.dy(), g.x(0)}));
             },
         .samples = [](Samples& s) { add_samples(s, false); },
         .tolerance = {.ulp = 8, .sum = 64, .exact_integers = true},
         .kernels = {{.name = "vectorised", .reject = single_only, .run = run},
                     {.name = "reference", .run = [](const Call& c) {
                        visit_float(c.in_spec(0).dtype, "fm_second_order()", [&]<class T>() { fm_plain<T>(c); });
                      }}}});
  r.add({.name = "fm_second_order_grad",
         .doc = "dy [B], x [B, F, D] -> dx = dy * (sum_f x - x)",
         .infer = infer_grad,
         .no_grad = "first-order only",
         .samples = [](Samples& s) { add_samples(s, true); },
         .tolerance = {.ulp = 8, .sum = 8, .exact_integers = true},
         .kernels = {{.name = "vectorised", .reject = single_only, .run = run_grad},
                     {.name = "reference", .run = [](const Call& c) {
                        visit_float(c.in_spec(1).dtype, "fm_second_order_grad()", [&]<class T>() { grad_plain<T>(c); });
                      }}}});
}

}  // namespace winnow
