#include "core/parallel.h"
#include "core/samples.h"
#include "ops/detail/lanes.h"
#include "ops/interactions.h"

namespace winnow {
namespace {

using detail::load;
using detail::store;
using Lane = detail::Vec<float>;

constexpr int64_t kWidth = 8;           // floats of a vector
constexpr int64_t kMostFeatures = 128;  // of the tiled kernels
constexpr int64_t kMostFloats = 16384;  // of one sample, on the stack

int64_t padded(int64_t n) { return (n + kWidth - 1) / kWidth * kWidth; }
int64_t pairs(int64_t features) { return features * (features - 1) / 2; }
int64_t triangle(int64_t i) { return i * (i - 1) / 2; }  // first pair of row i

// Rows [i, i + R) of the Gram matrix, V vectors of columns: sum over k of x[i][k] * xt[k][columns].
template <int R, int V>
void gram_tile(const float* x, int64_t d, const float* xt, int64_t stride, float* out, int64_t out_stride) {
  Lane acc[R][V] = {};
  for (int64_t k = 0; k < d; ++k) {
    Lane column[V];
    for (int v = 0; v < V; ++v) column[v] = load(xt + k * stride + v * kWidth);
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < V; ++v) acc[r][v] += x[r * d + k] * column[v];
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store(out + r * out_stride + v * kWidth, acc[r][v]);
}

template <int R>
void gram_rows(const float* x, int64_t d, const float* xt, int64_t stride, int64_t vectors, float* out) {
  int64_t v = 0;
  for (; v + 2 <= vectors; v += 2) gram_tile<R, 2>(x, d, xt + v * kWidth, stride, out + v * kWidth, kMostFeatures);
  if (v < vectors) gram_tile<R, 1>(x, d, xt + v * kWidth, stride, out + v * kWidth, kMostFeatures);
}

// A row is stored in whole vectors: what goes beyond it is overwritten by the next row, except at the sample's end.
void store_row(const float* row, float* out, int64_t n, int64_t room) {
  int64_t j = 0;
  for (; j < n && j + kWidth <= room; j += kWidth) store(out + j, load(row + j));
  for (; j < n; ++j) out[j] = row[j];
}

void dot_sample(const float* x, int64_t f, int64_t d, float* xt, float* out) {
  const int64_t stride = padded(f), all = pairs(f);
  for (int64_t i = 0; i < f; ++i)
    for (int64_t k = 0; k < d; ++k) xt[k * stride + i] = x[i * d + k];
  alignas(64) float rows[4 * kMostFeatures];
  for (int64_t i = 0; i < f; i += 4) {
    const int64_t count = std::min<int64_t>(4, f - i), vectors = padded(i + count - 1) / kWidth;
    switch (count) {
      case 4: gram_rows<4>(x + i * d, d, xt, stride, vectors, rows); break;
      case 3: gram_rows<3>(x + i * d, d, xt, stride, vectors, rows); break;
      case 2: gram_rows<2>(x + i * d, d, xt, stride, vectors, rows); break;
      default: gram_rows<1>(x + i * d, d, xt, stride, vectors, rows); break;
    }
    for (int64_t r = 0; r < count; ++r)
      store_row(rows + r * kMostFeatures, out + triangle(i + r), i + r, all - triangle(i + r));
  }
}

void run_tiled(const Call& c) {
  const Shape& s = c.in_spec(0).shape;
  const int64_t f = s[1], d = s[2];
  parallel_for(s[0], 1 + 100000 / (pairs(f) * d + 1), [&](int64_t begin, int64_t end) {
    alignas(64) float xt[kMostFloats];
    std::fill_n(xt, padded(f) * d, 0.f);  // columns between f and its padding
    for (int64_t b = begin; b < end; ++b)
      dot_sample(c.in<float>(0) + b * f * d, f, d, xt, c.out<float>(0) + b * pairs(f));
  });
}

// dx[i .. i + R) = sum over j != i of dy[i, j] * x[j], V vectors of columns.
template <int R, int V>
void gradient_tile(const float* x, const float* dy, int64_t f, int64_t stride, int64_t i, float* dx) {
  Lane acc[R][V] = {};
  const auto add = [&](int64_t j, int skip, auto&& coefficient) {
    Lane row[V];
    for (int v = 0; v < V; ++v) row[v] = load(x + j * stride + v * kWidth);
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < V && r != skip; ++v) acc[r][v] += coefficient(r) * row[v];
  };
  for (int64_t j = 0; j < i; ++j) add(j, -1, [&](int r) { return dy[triangle(i + r) + j]; });
  for (int q = 0; q < R; ++q)
    add(i + q, q, [&](int r) { return dy[triangle(i + std::max(q, r)) + i + std::min(q, r)]; });
  for (int64_t j = i + R; j < f; ++j) add(j, -1, [&](int r) { return dy[triangle(j) + i + r]; });
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store(dx + (i + r) * stride + v * kWidth, acc[r][v]);
}

template <int R>
void gradient_rows(const float* x, const float* dy, int64_t f, int64_t stride, int64_t i, float* dx) {
  int64_t c = 0;
  for (; c + 2 * kWidth <= stride; c += 2 * kWidth) gradient_tile<R, 2>(x + c, dy, f, stride, i, dx + c);
  if (c < stride) gradient_tile<R, 1>(x + c, dy, f, stride, i, dx + c);
}

// stride: row length of x and dx, a multiple of a vector.
void gradient_sample(const float* x, const float* dy, int64_t f, int64_t stride, float* dx) {
  int64_t i = 0;
  for (; i + 4 <= f; i += 4) gradient_rows<4>(x, dy, f, stride, i, dx);
  switch (f - i) {
    case 3: gradient_rows<3>(x, dy, f, stride, i, dx); break;
    case 2: gradient_rows<2>(x, dy, f, stride, i, dx); break;
    case 1: gradient_rows<1>(x, dy, f, stride, i, dx); break;
    default: break;
  }
}

void run_grad_tiled(const Call& c) {
  const Shape& s = c.in_spec(1).shape;
  const int64_t f = s[1], d = s[2], stride = padded(d);
  parallel_for(s[0], 1 + 50000 / (pairs(f) * d + 1), [&](int64_t begin, int64_t end) {
    alignas(64) float wide[kMostFloats], wide_dx[kMostFloats];
    if (stride != d) std::fill_n(wide, f * stride, 0.f);
    for (int64_t b = begin; b < end; ++b) {
      const float *x = c.in<float>(1) + b * f * d, *dy = c.in<float>(0) + b * pairs(f);
      float* dx = c.out<float>(0) + b * f * d;
      if (stride == d) {
        gradient_sample(x, dy, f, d, dx);
        continue;
      }
      for (int64_t i = 0; i < f; ++i) std::copy_n(x + i * d, d, wide + i * stride);
      gradient_sample(wide, dy, f, stride, wide_dx);
      for (int64_t i = 0; i < f; ++i) std::copy_n(wide_dx + i * stride, d, dx + i * d);
    }
  });
}

template <class T>
void dot_plain(const Call& c) {
  const Shape& s = c.in_spec(0).shape;
  const int64_t f = s[1], d = s[2];
  T* out = c.out<T>(0);
  for (int64_t b = 0; b < s[0]; ++b) {
    const T* x = c.in<T>(0) + b * f * d;
    for (int64_t i = 1; i < f; ++i)
      for (int64_t j = 0; j < i; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < d; ++k) sum += static_cast<double>(x[i * d + k]) * static_cast<double>(x[j * d + k]);
        *out++ = static_cast<T>(sum);
      }
  }
}
template <class T>
void grad_plain(const Call& c) {
  const Shape& s = c.in_spec(1).shape;
  const int64_t f = s[1], d = s[2];
  for (int64_t b = 0; b < s[0]; ++b) {
    const T *x = c.in<T>(1) + b * f * d, *dy = c.in<T>(0) + b * pairs(f);
    for (int64_t i = 0; i < f; ++i)
      for (int64_t k = 0; k < d; ++k) {
        double sum = 0;
        for (int64_t j = 0; j < f; ++j)
          if (j != i)
            sum +=
                static_cast<double>(dy[triangle(std::max(i, j)) + std::min(i, j)]) * static_cast<double>(x[j * d + k]);
        c.out<T>(0)[(b * f + i) * d + k] = static_cast<T>(sum);
      }
  }
}

const char* untiled(const NodeSpec& n, const DeviceInfo&) {
  const TensorSpec& x = n.in.back();
  if (x.dtype != DType::F32) return "f64 runs on the reference";
  const int64_t f = x.shape[1], d = x.shape[2];
  if (f > kMostFeatures) return "more than 128 features";
  return padded(f) * d > kMostFloats || f * padded(d) > kMostFloats ? "a sample of more than 16384 elements" : nullptr;
}

void infer(Infer& in) {
  in.expect_inputs(1);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_rank(0, 3);
  const Shape& x = in.shape(0);
  in.check(x[1] >= 1 && x[1] < 1 << 20, "x {} has {} features; at least 1 is needed", x.str(), x[1]);
  in.out(in.dtype(0), {x[0], pairs(x[1])});
}
void infer_grad(Infer& in) {
  in.expect_inputs(2);
  in.expect_dtype(1, {DType::F32, DType::F64});
  in.expect_same_dtype(0, 1);
  in.expect_rank(1, 3);
  const Shape& x = in.shape(1);
  in.check(x[1] >= 1 && x[1] < 1 << 20, "x {} has {} features; at least 1 is needed", x.str(), x[1]);
  in.expect_shape(0, {x[0], pairs(x[1])});
  in.out(in.in(1));
}

Cost cost(const NodeSpec& n) {
  const Shape& x = n.in.back().shape;
  const double grad = n.in.size() == 2 ? 2 : 1;
  Cost c{grad * 2 * static_cast<double>(x[0] * x[2]) * static_cast<double>(pairs(x[1])),
         static_cast<double>(n.out[0].bytes())};
  for (const auto& s : n.in) c.bytes += static_cast<double>(s.bytes());
  return c;
}

void add_samples(Samples& s, bool grad) {
  const auto add = [&](const char* name, int64_t b, int64_t f, int64_t d, bool bench = false) {
    std::vector<Arg> in = {f32({b, f, d})};
    if (grad) in.insert(in.begin(), f32({b, pairs(f)}));
    s.add({.name = name, .in = in, .grad = !bench, .bench = bench, .constant_ok = b == 0 || f == 1});
  };
  add("two features", 3, 2, 4);
  add("odd sizes", 2, 7, 5);
  add("one dimension", 4, 9, 1);
  add("27 features of dim 16", 2, 27, 16);
  add("39 features of dim 10", 2, 39, 10);
  add("128 features", 1, 128, 8);
  add("more than the tiles hold", 1, 130, 3);
  add("more than shared memory holds", 1, 170, 2);
  add("39 features, more samples than a block has", 11, 39, 10);
  add("130 features of dim 64", 1, 130, 64);
  add("rows of more than shared memory holds", 2, 3, 5000);
  add("one feature: no pairs", 2, 1, 3);
  add("no samples", 0, 5, 8);
  add("DLRM batch", 2048, 27, 16, true);
  std::vector<Arg> flat = {f32({3, 4})};
  if (grad) flat.insert(flat.begin(), f32({3, 6}));
  s.add({.name = "features flattened", .in = flat, .throws = "has rank 2, expected 3"});
}

}  // namespace

Value dot_interaction(Value x, Loc loc) { return x.graph->apply("dot_interaction", {x}, {}, loc); }

void register_dot_interaction(Registry& r) {
  r.add({.name = "dot_interaction",
         .doc = "x [B, F, D] -> [B, F (F - 1) / 2]: <x_i, x_j> for i = 1 .. F - 1, j < i",
         .infer = infer,
         .grad =
             [](Grad& g) {
               g.dx(0, g.apply("dot_interaction_grad", {g.dy(), g.x(0)}));
             },
         .cost = cost,
         .samples = [](Samples& s) { add_samples(s, false); },
         .tolerance = {.ulp = 4, .sum = 16, .exact_integers = true},
         .kernels = {{.name = "tiled", .reject = untiled, .run = run_tiled},
                     {.name = "reference", .run = [](const Call& c) {
                        visit_float(c.in_spec(0).dtype, "dot_interaction()", [&]<class T>() { dot_plain<T>(c); });
                      }}}});
  r.add({.name = "dot_interaction_grad",
         .doc = "dy [B, F (F - 1) / 2], x [B, F, D] -> dx [B, F, D]",
         .infer = infer_grad,
         .no_grad = "first-order only",
         .cost = cost,
         .samples = [](Samples& s) { add_samples(s, true); },
         .tolerance = {.ulp = 4, .sum = 32, .exact_integers = true},
         .kernels = {{.name = "tiled", .reject = untiled, .run = run_grad_tiled},
                     {.name = "reference", .run = [](const Call& c) {
                        visit_float(c.in_spec(1).dtype, "dot_interaction_grad()", [&]<class T>() { grad_plain<T>(c); });
                      }}}});
}

}  // namespace winnow
