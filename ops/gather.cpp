// gather and scatter_add over rows of axis 0, each the other's gradient, and one_hot.
#include "core/samples.h"
#include "ops/detail/copy.h"
#include "ops/detail/row_index.h"
#include "ops/shape_ops.h"

namespace winnow {

using namespace detail;

Value gather(Value x, Value indices, Loc loc) { return x.graph->apply("gather", {x, indices}, {}, loc); }
Value scatter_add(Value x, Value indices, int64_t rows, Loc loc) {
  return x.graph->apply("scatter_add", {x, indices}, {{"rows", rows}}, loc);
}
Value one_hot(Value indices, int64_t depth, Loc loc) {
  return indices.graph->apply("one_hot", {indices}, {{"depth", depth}}, loc);
}

namespace {

// head + the axes of tail from `from` on.
Shape join(Infer& i, const Shape& head, const Shape& tail, int from) {
  std::vector<int64_t> dims(head.dims().begin(), head.dims().end());
  dims.insert(dims.end(), tail.dims().begin() + from, tail.dims().end());
  i.check(dims.size() <= Shape::kMaxRank, "indices {} with {} make rank {}, at most {} is supported", head.str(),
          tail.str(), dims.size(), Shape::kMaxRank);
  return Shape(std::span<const int64_t>(dims));
}

void infer_gather(Infer& i) {
  i.expect_inputs(2);
  i.expect_dtype(1, {DType::I64});
  i.check(i.shape(0).rank() > 0, "x is a scalar, it has no rows");
  i.out(i.dtype(0), join(i, i.shape(1), i.shape(0), 1));
}
void grad_gather(Grad& g) {
  WN_CHECK(!g.row_sparse(0), ShapeError, "gather(): a row-sparse table is looked up with embedding_bag ({})",
           at_source(g.loc()));
  g.dx(0, g.apply("scatter_add", {g.dy(), g.x(1)}, {{"rows", g.x(0).shape()[0]}}));
}
void run_gather(const Call& c) {
  const int64_t n = c.in_numel(1), rows = c.in_spec(0).shape[0];
  const int64_t width = c.in_spec(0).shape.inner(0) * static_cast<int64_t>(size_of(c.in_spec(0).dtype));
  const char* x = c.in<char>(0);
  const int64_t* indices = c.in<int64_t>(1);
  char* y = c.out<char>(0);
  parallel_for(n, grain(width / 4), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (within(indices[i], rows))
        std::memcpy(y + i * width, x + indices[i] * width, static_cast<size_t>(width));
      else
        std::memset(y + i * width, 0, static_cast<size_t>(width));
    }
  });
}

void infer_scatter_add(Infer& i) {
  const bool onto = i.attrs().flag("has_base");
  i.expect_inputs(onto ? 3 : 2);
  i.expect_dtype(0, {DType::F32, DType::F64});
  i.expect_dtype(1, {DType::I64});
  const Shape &x = i.shape(0), &indices = i.shape(1);
  bool leading = indices.rank() <= x.rank();
  for (int a = 0; leading && a < indices.rank(); ++a) leading = indices[a] == x[a];
  i.check(leading, "x {} does not begin with the shape of the indices {}", x.str(), indices.str());
  const int64_t rows = i.attrs().integer("rows");
  i.check(rows >= 0, "rows {} is negative", rows);
  i.out(i.dtype(0), join(i, Shape{rows}, x, indices.rank()));
  if (!onto) return;
  i.expect_dtype(2, {i.dtype(0)});
  i.expect_shape(2, join(i, Shape{rows}, x, indices.rank()));
}
void grad_scatter_add(Grad& g) {
  g.dx(0, g.apply("gather", {g.dy(), g.x(1)}));
  if (g.attrs().flag("has_base")) g.dx(2, g.dy());
}

// A sum with another value of the table's shape (the gradient of a tied decoder) starts from that value, in its place.
bool absorb_sum(Node& producer, const Node& consumer, int operand, const std::deque<ValueInfo>& values) {
  if (operand < 0 || std::strcmp(consumer.op->name, "add") != 0 || producer.attrs.flag("has_base")) return false;
  const int32_t other = consumer.inputs[static_cast<size_t>(1 - operand)];
  const auto spec_of = [&](int32_t id) -> const TensorSpec& { return values[static_cast<size_t>(id)].spec; };
  if (!(spec_of(other) == spec_of(producer.outputs[0]))) return false;
  producer.attrs.set("has_base", int64_t{1});
  producer.inputs.push_back(other);
  return true;
}

// One thread adds the rows as they come. Several sort the positions by row first (a stable counting sort) and each
// adds to rows of its own: the same additions in the same order.
constexpr int64_t kSerialElements = 1 << 15;

bool serial(const NodeSpec& n) { return n.in[0].shape.numel() <= kSerialElements; }

void prepare_scatter_add(const NodeSpec& n, Prepare& p) {
  if (serial(n)) return;
  p.scratch(static_cast<size_t>(n.out[0].shape[0] + 1 + n.in[1].shape.numel()) * sizeof(int64_t));
}
template <class T>
void add_row(T* to, const T* from, int64_t width) {
  for (int64_t j = 0; j < width; ++j) to[j] += from[j];
}
void run_scatter_add(const Call& c) {
  visit_float(c.in_spec(0).dtype, "scatter_add", [&]<class T> {
    const int64_t n = c.in_numel(1), rows = c.out_spec(0).shape[0], width = c.out_spec(0).shape.inner(0);
    const T* x = c.in<T>(0);
    const int64_t* indices = c.in<int64_t>(1);
    T* y = c.out<T>(0);
    const T* base = c.spec->in.size() > 2 ? c.in<T>(2) : nullptr;
    if (serial(*c.spec) || num_threads() == 1) {
      if (base == nullptr) zero_bytes(y, rows * width * static_cast<int64_t>(sizeof(T)));
      if (base != nullptr && base != y) copy_blocks(1, rows * width * static_cast<int64_t>(sizeof(T)), base, 0, y, 0);
      for (int64_t i = 0; i < n; ++i)
        if (within(indices[i], rows)) add_row(y + indices[i] * width, x + i * width, width);
      return;
    }
    // ends[r] counts, then begins at, then (after the placement) ends row r's positions
    int64_t *ends = c.scratch_as<int64_t>(), *positions = ends + rows + 1;
    std::fill(ends, ends + rows + 1, 0);
    for (int64_t i = 0; i < n; ++i)
      if (within(indices[i], rows)) ++ends[indices[i] + 1];
    for (int64_t r = 0; r < rows; ++r) ends[r + 1] += ends[r];
    for (int64_t i = 0; i < n; ++i)
      if (within(indices[i], rows)) positions[ends[indices[i]]++] = i;
    parallel_for(rows, grain(width), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const auto bytes = static_cast<size_t>(width) * sizeof(T);
        if (base == nullptr)
          std::memset(y + r * width, 0, bytes);
        else if (base != y)
          std::memcpy(y + r * width, base + r * width, bytes);
        for (int64_t k = r == 0 ? 0 : ends[r - 1]; k < ends[r]; ++k)
          add_row(y + r * width, x + positions[k] * width, width);
      }
    });
  });
}

void infer_one_hot(Infer& i) {
  i.expect_inputs(1);
  i.expect_dtype(0, {DType::I64});
  const int64_t depth = i.attrs().integer("depth");
  i.check(depth >= 1, "depth is {}, must be at least 1", depth);
  i.out(DType::F32, join(i, i.shape(0), Shape{depth}, 0));
}
void run_one_hot(const Call& c) {
  const int64_t depth = c.out_spec(0).shape.back();
  const int64_t* indices = c.in<int64_t>(0);
  float* y = c.out<float>(0);
  parallel_for(c.in_numel(0), grain(depth), [&](int64_t begin, int64_t end) {
    std::memset(y + begin * depth, 0, static_cast<size_t>((end - begin) * depth) * sizeof(float));
    for (int64_t i = begin; i < end; ++i)
      if (within(indices[i], depth)) y[i * depth + indices[i]] = 1;
  });
}

void samples_gather(Samples& s) {
  s.add({.name = "rows", .in = {f32({7, 5}), i64({11}, Fill::integers(0, 6))}})
      .add({.name = "matrix_of_indices", .in = {f32({6, 3}), i64({2, 4}, Fill::integers(0, 5))}})
      .add({.name = "vector", .in = {f32({9}), i64({5}, Fill::integers(0, 8))}})
      .add({.name = "one", .in = {f32({1, 1}), i64({}, Fill::of({0}))}})
      .add({.name = "missing", .in = {f32({4, 3}), i64({4}, Fill::of({2, -1, 4, 0}))}, .constant_ok = true})
      .add({.name = "integers", .in = {i64({5, 2}, Fill::integers(-9, 9)), i64({3}, Fill::integers(0, 4))}})
      .add({.name = "no_indices", .in = {f32({4, 3}), i64({0}, Fill::of({}))}, .constant_ok = true})
      .add({.name = "bench",
            .in = {f32({100000, 64}), i64({8192}, Fill::integers(0, 99999))},
            .grad = false,
            .bench = true})
      .add({.name = "scalar", .in = {f32({}), i64({1}, Fill::of({0}))}, .throws = "x is a scalar"})
      .add({.name = "index_type", .in = {f32({4, 3}), f32({2})}, .throws = "expected i64"})
      .add({.name = "rank", .in = {f32({2, 1, 1, 1, 1, 1}), i64({1, 1}, Fill::of({0}))}, .throws = "make rank 7"});
}
void samples_scatter_add(Samples& s) {
  const auto rows = [](int64_t n) { return Attrs{{"rows", n}}; };
  const auto onto = [](int64_t n) { return Attrs{{"rows", n}, {"has_base", int64_t{1}}}; };
  s.add({.name = "rows", .in = {f32({11, 5}), i64({11}, Fill::integers(0, 6))}, .attrs = rows(7), .constant_ok = true})
      .add({.name = "same_row",
            .in = {f32({9, 3}), i64({9}, Fill::of({1, 1, 1, 1, 1, 1, 1, 1, 1}))},
            .attrs = rows(2),
            .constant_ok = true})
      .add({.name = "matrix_of_indices",
            .in = {f32({2, 4, 3}), i64({2, 4}, Fill::integers(0, 4))},
            .attrs = rows(5),
            .constant_ok = true})
      .add({.name = "one", .in = {f32({1}), i64({1}, Fill::of({0}))}, .attrs = rows(1)})
      .add({.name = "missing",
            .in = {f32({4, 3}), i64({4}, Fill::of({2, -1, 4, 0}))},
            .attrs = rows(4),
            .constant_ok = true})
      .add({.name = "nothing", .in = {f32({0, 3}), i64({0}, Fill::of({}))}, .attrs = rows(2), .constant_ok = true})
      .add({.name = "onto", .in = {f32({4, 3}), i64({4}, Fill::of({1, -1, 1, 0})), f32({3, 3})}, .attrs = onto(3)})
      .add({.name = "sorted_onto",
            .in = {f32({1500, 33}), i64({1500}, Fill::integers(-2, 60)), f32({59, 33})},
            .attrs = onto(59),
            .grad = false})
      .add({.name = "long_runs",
            .in = {f32({400, 132}), i64({400}, Fill::integers(-1, 2))},
            .attrs = rows(3),
            .grad = false})
      .add({.name = "many_rows",
            .in = {f32({600, 4}), i64({600}, Fill::integers(0, 399))},
            .attrs = rows(400),
            .grad = false})
      .add({.name = "5000_indices",
            .in = {f32({5000, 2}), i64({5000}, Fill::integers(-1, 1500))},
            .attrs = rows(1500),
            .grad = false,
            .constant_ok = true})
      .add({.name = "onto_another_shape",
            .in = {f32({4, 3}), i64({4}, Fill::integers(0, 1)), f32({2, 4})},
            .attrs = onto(2),
            .throws = "is [2, 4], expected [2, 3]"})
      .add({.name = "sorted",
            .in = {f32({1500, 33}), i64({1500}, Fill::integers(-2, 60))},
            .attrs = rows(59),
            .grad = false})
      .add({.name = "bench",
            .in = {f32({65536, 64}), i64({65536}, Fill::integers(0, 9999))},
            .attrs = rows(10000),
            .grad = false,
            .bench = true})
      .add({.name = "leading",
            .in = {f32({4, 3}), i64({3}, Fill::integers(0, 1))},
            .attrs = rows(2),
            .throws = "x [4, 3] does not begin with the shape of the indices [3]"})
      .add({.name = "negative",
            .in = {f32({2}), i64({2}, Fill::integers(0, 1))},
            .attrs = rows(-1),
            .throws = "rows -1 is negative"});
}
void samples_one_hot(Samples& s) {
  const auto depth = [](int64_t n) { return Attrs{{"depth", n}}; };
  s.add({.name = "classes", .in = {i64({7}, Fill::integers(0, 2))}, .attrs = depth(3), .constant_ok = true})
      .add({.name = "matrix", .in = {i64({3, 4}, Fill::integers(0, 4))}, .attrs = depth(5), .constant_ok = true})
      .add({.name = "missing", .in = {i64({4}, Fill::of({0, -1, 3, 2}))}, .attrs = depth(3), .constant_ok = true})
      .add({.name = "one", .in = {i64({1}, Fill::of({0}))}, .attrs = depth(1), .constant_ok = true})
      .add({.name = "empty", .in = {i64({0}, Fill::of({}))}, .attrs = depth(4), .constant_ok = true})
      .add({.name = "depth", .in = {i64({2}, Fill::integers(0, 1))}, .attrs = depth(0), .throws = "depth is 0"})
      .add({.name = "type", .in = {f32({2})}, .attrs = depth(2), .throws = "expected i64"});
}

}  // namespace

void register_gather(Registry& r) {
  r.add({.name = "gather",
         .doc = "y[i..] = x[indices[i..]], rows of zeros where the index is outside x",
         .infer = infer_gather,
         .grad = grad_gather,
         .samples = samples_gather,
         .tolerance = {.ulp = 0, .exact_integers = true},
         .kernels = {{.name = "reference", .run = run_gather}}});
  r.add({.name = "scatter_add",
         .doc = "y[r] = [base[r] +] sum of x[i] over indices[i] == r, in the order of i; inputs x, indices, [base]",
         .infer = infer_scatter_add,
         .grad = grad_scatter_add,
         .samples = samples_scatter_add,
         .tolerance = {.ulp = 4, .sum = 32, .exact_integers = true},
         .kernels = {{.name = "reference", .prepare = prepare_scatter_add, .run = run_scatter_add}},
         .inplace = {{2, 0}},
         .absorb = absorb_sum});
  r.add({.name = "one_hot",
         .doc = "y[i.., c] = indices[i..] == c, f32; attr depth",
         .infer = infer_one_hot,
         .no_grad = "the input is an index",
         .samples = samples_one_hot,
         .tolerance = {.ulp = 0, .exact_integers = true},
         .kernels = {{.name = "reference", .run = run_one_hot}}});
}

}  // namespace winnow
