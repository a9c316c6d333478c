#include "ops/rotary.h"

#include <cmath>

#include "core/parallel.h"
#include "core/samples.h"
#include "ops/detail/grain.h"
#include "ops/detail/rotary_frequency.h"

namespace winnow {

using namespace detail;

Value rotary(Value qkv, Value positions, int64_t heads, double base, Loc loc) {
  return qkv.graph->apply("rotary", {qkv, positions}, {{"heads", heads}, {"base", base}}, loc);
}

namespace {

void infer(Infer& i) {
  i.expect_inputs(2);
  i.expect_dtype(0, {DType::F32, DType::F64});
  i.expect_dtype(1, {DType::I64});
  i.expect_rank(0, 2);
  i.expect_shape(1, {i.shape(0)[0]});
  const int64_t heads = i.attrs().integer("heads"), width = i.shape(0)[1];
  i.check(heads > 0 && heads <= width && width % (6 * heads) == 0,
          "qkv {} is not [T, 3 H D] with {} heads of an even width D", i.shape(0).str(), heads);
  const double base = i.attrs().number("base");
  i.check(base >= 1 && std::isfinite(base), "base {} must be at least 1", base);
  i.out(i.in(0));
}

void grad(Grad& g) {
  Attrs back = g.attrs();
  back.set("back", int64_t{!g.attrs().flag("back")});
  g.dx(0, g.apply("rotary", {g.dy(), g.x(1)}, std::move(back)));
}

struct State {
  int64_t heads = 0, half = 0;
  std::vector<double> frequencies;  // [D / 2], negative for the turn back
};

void prepare(const NodeSpec& n, Prepare& p) {
  State& s = p.state<State>();
  s.heads = n.attrs.integer("heads");
  s.half = n.in[0].shape[1] / (6 * s.heads);
  const double base = n.attrs.number("base"), sign = n.attrs.flag("back") ? -1 : 1;
  for (int64_t i = 0; i < s.half; ++i) s.frequencies.push_back(sign * rotary_frequency(base, i, s.half));
}

// One cosine and sine a pair for all heads.
template <class T>
void turn(const State& s, int64_t place, const T* x, T* y) {
  for (int64_t i = 0; i < s.half; ++i) {
    const double angle = static_cast<double>(place) * s.frequencies[static_cast<size_t>(i)];
    const T c = static_cast<T>(std::cos(angle)), d = static_cast<T>(std::sin(angle));
    for (int64_t h = 0; h < 2 * s.heads; ++h) {
      const int64_t a = 2 * h * s.half + i, b = a + s.half;
      const T first = x[a], second = x[b];
      y[a] = first * c - second * d;
      y[b] = second * c + first * d;
    }
  }
}

void run(const Call& c) {
  const State& s = c.state<State>();
  const int64_t tokens = c.in_spec(0).shape[0], width = c.in_spec(0).shape[1], turned = 4 * s.heads * s.half;
  const int64_t* positions = c.in<int64_t>(1);
  visit_float(c.in_spec(0).dtype, "rotary", [&]<class T> {
    parallel_for(tokens, grain(8 * width), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const T* x = c.in<T>(0) + t * width;
        T* y = c.out<T>(0) + t * width;
        const bool dead = positions[t] < 0;
        if (!dead) turn(s, positions[t], x, y);
        const int64_t from = dead ? 0 : turned;
        if (x != y) std::copy(x + from, x + width, y + from);
      }
    });
  });
}

void samples(Samples& s) {
  const auto with = [](int64_t heads, double base) { return Attrs{{"heads", heads}, {"base", base}}; };
  const auto places = [](std::vector<double> p) {
    const auto n = static_cast<int64_t>(p.size());
    return i64({n}, Fill::of(std::move(p)));
  };
  s.add({.name = "heads", .in = {f32({5, 36}), places({0, 1, 2, 0, 1})}, .attrs = with(3, 10000)})
      .add({.name = "dead_rows", .in = {f32({4, 12}), places({3, 0, -1, -7})}, .attrs = with(1, 100)})
      .add({.name = "one_pair", .in = {f32({1, 6}), places({9})}, .attrs = with(1, 1)})
      .add({.name = "odd", .in = {f32({7, 42}), places({0, 1, 2, 3, 511, 5, 100000})}, .attrs = with(1, 10000)})
      .add({.name = "back", .in = {f32({3, 24}), places({4, 5, 6})}, .attrs = with(2, 10000).set("back", int64_t{1})})
      .add({.name = "empty", .in = {f32({0, 12}), places({})}, .attrs = with(2, 10000), .constant_ok = true})
      .add({.name = "bench",
            .in = {f32({4096, 1152}), i64({4096}, Fill::integers(0, 127))},
            .attrs = with(6, 10000),
            .grad = false,
            .bench = true})
      .add({.name = "odd_width",
            .in = {f32({2, 9}), places({0, 1})},
            .attrs = with(1, 10000),
            .throws = "heads of an even width D"})
      .add({.name = "places", .in = {f32({2, 12}), places({0})}, .attrs = with(1, 10000), .throws = "[2]"})
      .add({.name = "base", .in = {f32({1, 6}), places({0})}, .attrs = with(1, 0.5), .throws = "base 0.5"});
}

}  // namespace

void register_rotary(Registry& r) {
  r.add({.name = "rotary",
         .doc = "pairs (x_i, x_{i + D / 2}) of queries and keys turned by position; attrs heads, base",
         .infer = infer,
         .grad = grad,
         .samples = samples,
         .tolerance = {.ulp = 2, .sum = 4},
         .kernels = {{.name = "reference", .prepare = prepare, .run = run}},
         .inplace = {{0, 0}}});
}

}  // namespace winnow
