#include "core/op.h"
#include "core/parallel.h"
#include "core/samples.h"
#include "ours.h"

using namespace winnow;

Value field_pairs(Value e, Value r, Loc loc) { return e.graph->apply("field_pairs", {e, r}, {}, loc); }

namespace {

void check_operands(Infer& i, int e) {
  i.expect_inputs(e + 2);
  i.expect_dtype(0, {DType::F32, DType::F64});
  i.expect_same_dtype(0, e + 1);
  i.expect_rank(e, 3);
  const int64_t fields = i.shape(e)[1];
  i.check(fields >= 2 && fields < 65536, "e {} must have 2 to 65535 fields", i.shape(e).str());
  i.check(i.shape(e + 1) == Shape{fields * (fields - 1) / 2}, "r {} must hold a weight for each pair of the {} fields",
          i.shape(e + 1).str(), fields);
}
void infer(Infer& i) {
  check_operands(i, 0);
  i.out(i.dtype(0), {i.shape(0)[0]});
}
void infer_grad(Infer& i) {
  check_operands(i, 1);
  i.expect_shape(0, {i.shape(1)[0]});
  i.out(i.in(1));
  i.out(i.in(2));
}

template <class T>
double dot(const T* a, const T* b, int64_t n) {
  double sum = 0;
  for (int64_t k = 0; k < n; ++k) sum += static_cast<double>(a[k]) * static_cast<double>(b[k]);
  return sum;
}

// f(i, j, p) for each pair of fields i < j, the p-th.
template <class F>
void each_pair(int64_t fields, F&& f) {
  for (int64_t i = 0, p = 0; i < fields; ++i)
    for (int64_t j = i + 1; j < fields; ++j) f(i, j, p++);
}

void run(const Call& c) {
  const int64_t rows = c.in_spec(0).shape[0], fields = c.in_spec(0).shape[1], dim = c.in_spec(0).shape[2];
  visit_float(c.in_spec(0).dtype, "field_pairs", [&]<class T> {
    parallel_for(rows, 16, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const T *e = c.in<T>(0) + b * fields * dim, *r = c.in<T>(1);
        double y = 0;
        each_pair(fields, [&](auto i, auto j, auto p) { y += r[p] * dot(e + i * dim, e + j * dim, dim); });
        c.out<T>(0)[b] = static_cast<T>(y);
      }
    });
  });
}

// de[b, i] = dy[b] sum over j of r[p(i, j)] e[b, j];  dr[p(i, j)] = sum over b of dy[b] <e[b, i], e[b, j]>
void run_grad(const Call& c) {
  const int64_t rows = c.in_spec(1).shape[0], fields = c.in_spec(1).shape[1], dim = c.in_spec(1).shape[2];
  visit_float(c.in_spec(0).dtype, "field_pairs_grad", [&]<class T> {
    const T *dy = c.in<T>(0), *e = c.in<T>(1), *r = c.in<T>(2);
    T *de = c.out<T>(0), *dr = c.out<T>(1);
    std::fill(de, de + rows * fields * dim, T(0));
    std::fill(dr, dr + c.out_numel(1), T(0));
    for (int64_t b = 0; b < rows; ++b, e += fields * dim, de += fields * dim)
      each_pair(fields, [&](auto i, auto j, auto p) {
        for (int64_t k = 0; k < dim; ++k) {
          de[i * dim + k] += dy[b] * r[p] * e[j * dim + k];
          de[j * dim + k] += dy[b] * r[p] * e[i * dim + k];
        }
        dr[p] += static_cast<T>(dy[b] * dot(e + i * dim, e + j * dim, dim));
      });
  });
}

void grad(Grad& g) {
  const auto d = g.graph().apply_all("field_pairs_grad", {g.dy(), g.x(0), g.x(1)}, {}, g.loc());
  g.dx(0, d[0]);
  g.dx(1, d[1]);
}

void samples(Samples& s) {
  s.add({.name = "odd", .in = {f32({7, 5, 3}), f32({10})}})
      .add({.name = "one_pair", .in = {f32({1, 2, 1}), f32({1})}})
      .add({.name = "no_rows", .in = {f32({0, 3, 4}), f32({3})}})
      .add({.name = "r_of_other_fields", .in = {f32({7, 5, 3}), f32({9})}, .throws = "a weight for each pair"});
}
void samples_grad(Samples& s) {
  s.add({.name = "odd", .in = {f32({7}), f32({7, 5, 3}), f32({10})}})
      .add({.name = "one_pair", .in = {f32({1}), f32({1, 2, 1}), f32({1})}})
      .add({.name = "no_rows", .in = {f32({0}), f32({0, 3, 4}), f32({3})}, .constant_ok = true})
      .add({.name = "dy_of_other_rows", .in = {f32({6}), f32({7, 5, 3}), f32({10})}, .throws = "expected [7]"});
}

}  // namespace

void register_field_pairs() {
  const Tolerance tolerance = {.ulp = 4, .sum = 8};  // products of three, sums of as many as the samples have rows
  register_operator({.name = "field_pairs",
                     .doc = "y_b = sum_{i<j} r_ij <e_bi, e_bj>; e [B, F, D], r [F (F - 1) / 2] -> [B]",
                     .infer = infer,
                     .grad = grad,
                     .samples = samples,
                     .tolerance = tolerance,
                     .kernels = {{.name = "reference", .run = run}}});
  register_operator({.name = "field_pairs_grad",
                     .doc = "de, dr of field_pairs from dy [B], e [B, F, D], r [F (F - 1) / 2]",
                     .infer = infer_grad,
                     .no_grad = "second derivatives: no model needs them",
                     .samples = samples_grad,
                     .tolerance = tolerance,
                     .kernels = {{.name = "reference", .run = run_grad}}});
}
