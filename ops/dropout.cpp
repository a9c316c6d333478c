#include "ops/dropout.h"

#include "core/samples.h"
#include "ops/detail/blocks.h"
#include "ops/detail/dropout_bits.h"

namespace winnow {
namespace {

using namespace detail;

struct State {
  Philox philox;
  int32_t threshold = 0;  // dropped when the bits are below
  double scale = 1;
};

bool valid(double p) { return p >= 0 && p < 1; }

void infer_dropout(Infer& in) {
  in.expect_inputs(2);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_dtype(1, {DType::I64});
  in.expect_rank(1, 0);
  const double p = in.attrs().number("p");
  in.check(valid(p), "p = {} is not in [0, 1)", p);
  in.attrs().integer("seed");
  in.attrs().integer("stream");
  in.out(in.in(0));
}
void record_gradient(Grad& g) { g.dx(0, g.apply("dropout_grad", {g.dy(), g.x(1)}, g.attrs())); }

void prepare(const NodeSpec& node, Prepare& p) {
  State& s = p.state<State>();
  s.philox = {static_cast<uint64_t>(node.attrs.integer("seed")), static_cast<uint64_t>(node.attrs.integer("stream"))};
  s.threshold = dropout_threshold(node.attrs.number("p"));
  s.scale = dropout_scale(s.threshold);
}

const char* reject_lanes(const NodeSpec& node, const DeviceInfo&) {
  return node.in[0].dtype == DType::F32 ? nullptr : "f32 only";
}
void run_lanes(const Call& c) {
  const State& s = c.state<State>();
  const auto step = static_cast<uint64_t>(*c.in<int64_t>(1));
  const float* x = c.in<float>(0);
  float* y = c.out<float>(0);
  for_blocks(c.out_numel(0),
             [&, threshold = s.threshold, scale = static_cast<float>(s.scale)](int64_t begin, int64_t end) {
               alignas(32) uint16_t bits[kBitsGroup];
               const auto group = [&](int64_t first, int64_t n) {
                 dropout_bits_of_group(s.philox, step, first / kBitsGroup, bits);
#pragma omp simd
                 for (int64_t j = 0; j < n; ++j) {
                   const float kept = x[first + j] * scale;
                   y[first + j] = static_cast<int32_t>(bits[j]) < threshold ? 0.0f : kept;
                 }
               };
               int64_t first = begin;
               for (; first + kBitsGroup <= end; first += kBitsGroup) group(first, kBitsGroup);
               if (first < end) group(first, end - first);
             });
}

void run_reference(const Call& c) {
  visit_float(c.in_spec(0).dtype, "dropout", [&]<class T> {
    const State& s = c.state<State>();
    const auto step = static_cast<uint64_t>(*c.in<int64_t>(1));
    const T *x = c.in<T>(0), scale = static_cast<T>(s.scale);
    T* y = c.out<T>(0);
    parallel_for(c.out_numel(0), kGrainElements / 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        y[i] = static_cast<int32_t>(dropout_bits(s.philox, step, i)) < s.threshold ? T(0) : x[i] * scale;
    });
  });
}

Cost cost(const NodeSpec& node) {
  return {.flops = 2 * static_cast<double>(node.in[0].shape.numel()),
          .bytes = 2 * static_cast<double>(node.in[0].bytes())};
}

Attrs attrs(double p, int64_t seed = 7, int64_t stream = 3) { return {{"p", p}, {"seed", seed}, {"stream", stream}}; }

void samples(Samples& s) {
  const Arg step = i64({}, Fill::of({12}));
  s.add({.name = "vector", .in = {f32({7}), step}, .attrs = attrs(0.1), .constant_ok = true});
  s.add({.name = "matrix", .in = {f32({31, 33}), step}, .attrs = attrs(0.3)});
  s.add({.name = "one", .in = {f32({1}), step}, .attrs = attrs(0.1), .constant_ok = true});
  s.add({.name = "rank 0", .in = {f32({}), step}, .attrs = attrs(0.1), .constant_ok = true});
  s.add({.name = "empty", .in = {f32({0, 5}), step}, .attrs = attrs(0.1), .constant_ok = true});
  s.add({.name = "past a block", .in = {f32({129, 37}), step}, .attrs = attrs(0.4)});
  s.add({.name = "nearly all", .in = {f32({2000}), step}, .attrs = attrs(0.999999), .constant_ok = true});
  s.add({.name = "none", .in = {f32({70}), step}, .attrs = attrs(0)});
  s.add({.name = "large seed and step",
         .in = {f32({200}), i64({}, Fill::of({9e15}))},
         .attrs = attrs(0.2, -5, int64_t{1} << 40)});
  s.add({.name = "activations", .in = {f32({2048, 384}), step}, .attrs = attrs(0.1), .grad = false, .bench = true});
  s.add({.name = "certain", .in = {f32({7}), step}, .attrs = attrs(1), .throws = "p = 1 is not in [0, 1)"});
  s.add({.name = "negative", .in = {f32({7}), step}, .attrs = attrs(-0.1), .throws = "p = -0.1 is not in [0, 1)"});
  s.add({.name = "integers",
         .in = {i32({7}, Fill::integers(0, 3)), step},
         .attrs = attrs(0.1),
         .throws = "expected f32 or f64"});
  s.add({.name = "a step per row",
         .in = {f32({7}), i64({7}, Fill::integers(0, 3))},
         .attrs = attrs(0.1),
         .throws = "has rank 1, expected 0"});
}

void register_one(Registry& r, const char* name, const char* doc) {
  OpDef op;
  op.name = name;
  op.doc = doc;
  op.infer = infer_dropout;
  op.grad = record_gradient;  // linear in x: the gradient of the gradient is the gradient
  op.cost = cost;
  op.samples = samples;
  op.tolerance = {.ulp = 1.5};
  op.kernels = {{.name = "lanes", .reject = reject_lanes, .prepare = prepare, .run = run_lanes},
                {.name = "reference", .prepare = prepare, .run = run_reference}};
  op.inplace = {{0, 0}};
  r.add(std::move(op));
}

}  // namespace

Value dropout(Value x, double p, Value step, Loc loc) {
  WN_CHECK(valid(p), ShapeError, "dropout(): p = {} is not in [0, 1) ({})", p, at_source(loc));
  if (p == 0) return x;
  Graph& graph = *x.graph;
  const Attrs attributes = attrs(p, static_cast<int64_t>(graph.seed()), graph.next_random_stream());
  return graph.apply("dropout", {x, step}, attributes, loc);
}

void register_dropout(Registry& r) {
  register_one(r, "dropout", "y = keep(seed, stream, step) ? x / (1 - p) : 0; inputs x and step i64 []");
  register_one(r, "dropout_grad", "dx = keep(seed, stream, step) ? dy / (1 - p) : 0; inputs dy and step i64 []");
}

}  // namespace winnow
