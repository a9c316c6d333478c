// Sums over segments; contract in ops/segments.h.
#include "core/samples.h"
#include "ops/detail/segments.h"
#include "ops/detail/sparse_samples.h"
#include "ops/segments.h"

namespace winnow {
namespace {

constexpr int64_t kBlock = 256;  // unique rows of one partial sum

void infer_sum(Infer& in) {
  in.expect_inputs(kSegmentInputs);
  infer_segments(in, 0);
  in.out(in.dtype(5), {in.shape(0)[0], in.shape(5)[1]});
}
void infer_sqnorm(Infer& in) {
  in.expect_inputs(kSegmentInputs);
  infer_segments(in, 0);
  in.out(in.dtype(5), {});
}

void run_sum(const Call& c) {
  const SegmentData<float> s(c, 0);
  float* out = c.out<float>(0);
  rows::visit_dim(s.dim, [&]<int D>() {
    parallel_segments(s, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) s.template sum<D>(k, out + k * s.dim);
    });
  });
  std::fill(out + s.count * s.dim, out + c.out_numel(0), 0.f);
}

template <class T>
void run_sum_plain(const Call& c) {
  const SegmentData<T> s(c, 0);
  T* out = c.out<T>(0);
  std::fill(out, out + c.out_numel(0), T{0});
  double acc[kMaxRowDim];
  for (int64_t k = 0; k < s.count; ++k) {
    s.template sum<0>(k, acc);
    for (int64_t j = 0; j < s.dim; ++j) out[k * s.dim + j] = static_cast<T>(acc[j]);
  }
}
void run_sum_reference(const Call& c) {
  visit_float(c.in_spec(5).dtype, "segment_sum()", [&]<class T>() { run_sum_plain<T>(c); });
}

void prepare_sqnorm(const NodeSpec& n, Prepare& p) {
  p.scratch(static_cast<size_t>(n.in[0].shape.numel() / kBlock + 1) * sizeof(double));
}

template <int D>
double squares(const SegmentData<float>& s, int64_t begin, int64_t end) {
  const int64_t d = D > 0 ? D : s.dim;
  alignas(64) float acc[D > 0 ? D : kMaxRowDim] = {};
  double total = 0;
  DyPrefetcher<float> ahead(s, begin, end);
  for (int64_t k = begin; k < end; ++k) {
    ahead.template advance<D>(k);
    s.template sum<D>(k, acc);
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < d; ++j) sum += acc[j] * acc[j];
    total += static_cast<double>(sum);
  }
  return total;
}

void run_sqnorm(const Call& c) {
  const SegmentData<float> s(c, 0);
  auto* partial = c.scratch_as<double>();
  const int64_t blocks = (s.count + kBlock - 1) / kBlock;
  rows::visit_dim(s.dim, [&]<int D>() {
    parallel_for(blocks, 2, [&](int64_t begin, int64_t end) {
      for (int64_t q = begin; q < end; ++q) partial[q] = squares<D>(s, q * kBlock, std::min(s.count, (q + 1) * kBlock));
    });
  });
  double total = 0;
  for (int64_t q = 0; q < blocks; ++q) total += partial[q];
  *c.out<float>(0) = static_cast<float>(total);
}

void run_sqnorm_reference(const Call& c) {
  visit_float(c.in_spec(5).dtype, "segment_sqnorm()", [&]<class T>() {
    const SegmentData<T> s(c, 0);
    double acc[kMaxRowDim], total = 0;
    for (int64_t k = 0; k < s.count; ++k) {
      s.template sum<0>(k, acc);
      for (int64_t j = 0; j < s.dim; ++j) total += acc[j] * acc[j];
    }
    *c.out<T>(0) = static_cast<T>(total);
  });
}

void samples(Samples& s) {
  const auto rows = i64({6}, Fill::of({0, 3, 5, 9, -1, -1}));
  const auto starts = i32({7}, Fill::of({0, 1, 3, 4, 6, 6, 6}));
  const auto bag = i32({6}, Fill::of({2, 0, 1, 4, 0, 3}));
  const auto segments = [&](int64_t dim) {
    return std::vector<Arg>{rows, starts, i64({}, Fill::of({4})), bag, f32({6}), f32({5, dim})};
  };
  s.add({"dim 5", segments(5), {}}).add({"dim 16", segments(16), {}}).add({"dim 1", segments(1), {}});
  for (const int64_t dim : {3, 6, 132})
    s.add({.name = "rows of many occurrences, dim " + std::to_string(dim),
           .in = long_segments(dim, 700),
           .constant_ok = true});
  s.add({.name = "a row of many occurrences behind 300 of one", .in = long_behind_short(6), .constant_ok = true});
  s.add({.name = "a long row that ends just behind a tile",
         .in = segments_at({0, 513, 600, 1025, 1030}, 1040, 6, 700),
         .constant_ok = true});
  auto outside = segments(4);
  outside[3] = i32({6}, Fill::of({2, 0, 5, 4, -1, 3}));
  s.add({"bags that dy does not have", outside, {}});
  s.add({.name = "nothing touched",
         .in = {i64({2}, Fill::of({-1, -1})), i32({3}, Fill::of({0, 0, 0})), i64({}, Fill::of({0})),
                i32({2}, Fill::of({0, 0})), f32({2}), f32({2, 4})},
         .constant_ok = true});
  auto wrong = segments(4);
  wrong[3] = i32({7}, Fill::integers(0, 1));
  s.add({.name = "bag of another length", .in = wrong, .throws = "input 3 is [7], expected [6]"});
}

const char* single_only(const NodeSpec& n, const DeviceInfo&) {
  return n.in[5].dtype == DType::F64 ? "f64 runs on the reference" : nullptr;
}
constexpr const char* kNoGrad = "a gradient already: used by optimizers and clipping only";

}  // namespace

static Value record(const char* op, const RowSegments& s, Loc loc) {
  return s.dy.graph->apply(op, {s.unique_rows, s.starts, s.count, s.bag, s.coef, s.dy}, {}, loc);
}
Value segment_sum(const RowSegments& segments, Loc loc) { return record("segment_sum", segments, loc); }
Value segment_sqnorm(const RowSegments& segments, Loc loc) { return record("segment_sqnorm", segments, loc); }

void register_segment_sum(Registry& r) {
  r.add({.name = "segment_sum",
         .doc = "unique_rows, starts, count, bag, coef, dy -> [n, D]: the summed gradient of each unique row",
         .infer = infer_sum,
         .no_grad = kNoGrad,
         .samples = samples,
         .tolerance = {.ulp = 4, .sum = 16, .exact_integers = true},
         .kernels = {{.name = "segments", .reject = single_only, .run = run_sum},
                     {.name = "reference", .run = run_sum_reference}}});
  r.add({.name = "segment_sqnorm",
         .doc = "unique_rows, starts, count, bag, coef, dy -> []: sum of squares of the summed row gradients",
         .infer = infer_sqnorm,
         .no_grad = kNoGrad,
         .samples = samples,
         .tolerance = {.ulp = 16, .sum = 0, .exact_integers = true},
         .kernels = {{.name = "segments", .reject = single_only, .prepare = prepare_sqnorm, .run = run_sqnorm},
                     {.name = "reference", .run = run_sqnorm_reference}}});
}

}  // namespace winnow
