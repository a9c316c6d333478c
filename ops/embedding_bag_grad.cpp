// Dense gradients of embedding_bag; contract in ops/embedding_bag.h.
#include "core/parallel.h"
#include "core/samples.h"
#include "ops/detail/bag_spec.h"
#include "ops/detail/rows.h"
#include "ops/embedding_bag.h"

namespace winnow {
namespace {

constexpr const char* kFirstOrder = "first-order only: second derivatives through a lookup are not offered";

struct Scatter {
  BagSpec bags;
  int64_t table_rows, dim;
};

const Shape* offsets_of(const NodeSpec& n, int first) {
  return n.attrs.flag("has_offsets") ? &n.in[static_cast<size_t>(first + 1)].shape : nullptr;
}

void infer_table(Infer& in) {
  in.expect_inputs(2, 4);
  in.expect_dtype(0, {DType::F32, DType::F64});
  const BagSpec s = infer_bags(in, 1);
  in.expect_inputs(1 + s.inputs() + (s.any_max ? 1 : 0));
  in.check(in.shape(0).rank() >= 1, "dy {} has no last axis", in.shape(0).str());
  const int64_t dim = in.shape(0).back(), table_rows = in.attrs().integer("table_rows");
  in.expect_shape(0, s.out_shape(in.shape(1), dim));
  if (s.has_weights) in.expect_dtype(s.inputs(), {in.dtype(0)});
  in.check(s.table_rows() <= table_rows, "a feature ends at row {}, the table has {}", s.table_rows(), table_rows);
  if (s.any_max) {
    in.expect_dtype(s.inputs() + 1, {in.dtype(0)});
    in.expect_shape(s.inputs() + 1, {table_rows, dim});
  }
  in.out(in.dtype(0), {table_rows, dim});
}

void prepare_table(const NodeSpec& n, Prepare& p) {
  p.state<Scatter>(read_bags(n.attrs, "", n.in[1].shape, offsets_of(n, 1)), n.out[0].shape[0], n.out[0].shape[1]);
}

// Rows [begin, end) of dtable: every range reads all ids and keeps its own rows, so each row is summed in the order
// of its occurrences whatever the number of ranges.
template <class T>
void scatter_rows(const Scatter& s, const BagData<T>& in, const T* dy, T* dtable, int64_t begin, int64_t end) {
  const int64_t d = s.dim;
  std::fill(dtable + begin * d, dtable + end * d, T{0});
  for (int64_t bag = 0; bag < s.bags.bags; ++bag) {
    const int64_t f = bag % s.bags.features;
    const int64_t from = in.begin(bag), to = in.end(bag);
    T scale = 1;
    if (s.bags.pool[static_cast<size_t>(f)] == BagSpec::Mean)
      scale = T{1} / static_cast<T>(std::max<int64_t>(1, valid_ids(s.bags, in.ids, from, to, f)));
    for (int64_t k = from; k < to; ++k) {
      const int64_t r = s.bags.row(f, in.ids[k]);
      if (r < begin || r >= end) continue;
      const T w = in.weights != nullptr ? scale * in.weights[k] : scale;
      T* __restrict out = dtable + r * d;
      const T* __restrict g = dy + bag * d;
#pragma omp simd
      for (int64_t j = 0; j < d; ++j) out[j] += w * g[j];
    }
  }
}

// Columns [begin, end) when a feature pools by max: each element goes to the first largest row of its bag.
template <class T>
void scatter_columns(const Scatter& s, const BagData<T>& in, const T* dy, const T* table, T* dtable, int64_t begin,
                     int64_t end) {
  const int64_t d = s.dim;
  for (int64_t r = 0; r < s.table_rows; ++r) std::fill(dtable + r * d + begin, dtable + r * d + end, T{0});
  for (int64_t bag = 0; bag < s.bags.bags; ++bag) {
    const int64_t f = bag % s.bags.features;
    const int64_t from = in.begin(bag), to = in.end(bag);
    const uint8_t pool = s.bags.pool[static_cast<size_t>(f)];
    const T scale = pool == BagSpec::Mean
                        ? T{1} / static_cast<T>(std::max<int64_t>(1, valid_ids(s.bags, in.ids, from, to, f)))
                        : T{1};
    for (int64_t j = begin; j < end; ++j) {
      int64_t largest = -1;
      for (int64_t k = from; k < to; ++k) {
        const int64_t r = s.bags.row(f, in.ids[k]);
        if (r < 0) continue;
        if (pool != BagSpec::Max)
          dtable[r * d + j] += scale * dy[bag * d + j];
        else if (largest < 0 || table[r * d + j] > table[largest * d + j])
          largest = r;
      }
      if (largest >= 0) dtable[largest * d + j] += dy[bag * d + j];
    }
  }
}

template <class T>
void run_table_as(const Call& c) {
  const auto& s = c.state<Scatter>();
  const BagData<T> in(c, s.bags, 1);
  const T* dy = c.in<T>(0);
  T* out = c.out<T>(0);
  if (s.bags.any_max) {
    const T* table = c.in<T>(1 + s.bags.inputs());
    parallel_for(s.dim, 8, [&](int64_t begin, int64_t end) { scatter_columns(s, in, dy, table, out, begin, end); });
    return;
  }
  const int64_t per_row = 1 + s.dim * s.bags.capacity / std::max<int64_t>(1, s.table_rows);
  parallel_for(s.table_rows, 1 + 16384 / per_row,
               [&](int64_t begin, int64_t end) { scatter_rows(s, in, dy, out, begin, end); });
}
void run_table(const Call& c) {
  visit_float(c.in_spec(0).dtype, "embedding_bag_grad()", [&]<class T>() { run_table_as<T>(c); });
}

// Sums of one row at a time in double, in occurrence order.
template <class T>
void run_table_plain(const Call& c) {
  const auto& s = c.state<Scatter>();
  const BagData<T> in(c, s.bags, 1);
  const T* dy = c.in<T>(0);
  if (s.bags.any_max) return scatter_columns(s, in, dy, c.in<T>(1 + s.bags.inputs()), c.out<T>(0), 0, s.dim);
  for (int64_t row = 0; row < s.table_rows; ++row)
    for (int64_t j = 0; j < s.dim; ++j) {
      double sum = 0;
      for (int64_t bag = 0; bag < s.bags.bags; ++bag) {
        const int64_t f = bag % s.bags.features, from = in.begin(bag), to = in.end(bag);
        const bool mean = s.bags.pool[static_cast<size_t>(f)] == BagSpec::Mean;
        const double divisor = mean ? static_cast<double>(valid_ids(s.bags, in.ids, from, to, f)) : 1.0;
        for (int64_t k = from; k < to; ++k)
          if (s.bags.row(f, in.ids[k]) == row)
            sum += (in.weights != nullptr ? static_cast<double>(in.weights[k]) : 1.0) *
                   static_cast<double>(dy[bag * s.dim + j]) / divisor;
      }
      c.out<T>(0)[row * s.dim + j] = static_cast<T>(sum);
    }
}
void run_table_reference(const Call& c) {
  visit_float(c.in_spec(0).dtype, "embedding_bag_grad()", [&]<class T>() { run_table_plain<T>(c); });
}

void infer_weights(Infer& in) {
  in.expect_inputs(3, 4);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_dtype(1, {DType::F32, DType::BF16, DType::F64});
  in.expect_dtype(2, {DType::I64});
  in.expect_rank(1, 2);
  const bool has_offsets = in.attrs().flag("has_offsets");
  in.expect_inputs(has_offsets ? 4 : 3);
  const BagSpec s = infer_bags(in, 2, "", false);
  in.expect_dtype(0, {rows::arithmetic_type(in.dtype(1))});
  in.expect_shape(0, s.out_shape(in.shape(2), in.shape(1)[1]));
  in.check(s.table_rows() <= in.shape(1)[0], "a feature ends at row {}, the table is {}", s.table_rows(),
           in.shape(1).str());
  in.out(in.dtype(0), in.shape(2));
}

void prepare_weights(const NodeSpec& n, Prepare& p) {
  p.state<Scatter>(read_bags(n.attrs, "", n.in[2].shape, offsets_of(n, 2)), n.in[1].shape[0], n.in[1].shape[1]);
}

template <class T, class W, class A>
void weights_of_bags(const Call& c, const Scatter& s, int64_t begin, int64_t end) {
  const int64_t* ids = c.in<int64_t>(2);
  const int64_t* offsets = s.bags.has_offsets ? c.in<int64_t>(3) : nullptr;
  for (int64_t bag = begin; bag < end; ++bag) {
    const int64_t f = bag % s.bags.features;
    const auto cut = [&](int64_t k) { return std::clamp<int64_t>(k, 0, s.bags.capacity); };
    const int64_t from = offsets != nullptr ? cut(offsets[bag]) : bag,
                  to = offsets != nullptr ? cut(offsets[bag + 1]) : bag + 1;
    const bool mean = s.bags.pool[static_cast<size_t>(f)] == BagSpec::Mean;
    const A divisor = mean ? static_cast<A>(std::max<int64_t>(1, valid_ids(s.bags, ids, from, to, f))) : A{1};
    for (int64_t k = from; k < to; ++k) {
      const int64_t r = s.bags.row(f, ids[k]);
      A sum = 0;
      if (r >= 0) {
        const T* g = c.in<T>(0) + bag * s.dim;
        const W* row = c.in<W>(1) + r * s.dim;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < s.dim; ++j) sum += static_cast<A>(g[j]) * static_cast<A>(static_cast<T>(row[j]));
      }
      c.out<T>(0)[k] = static_cast<T>(sum / divisor);
    }
  }
}

// Positions that no bag covers have no gradient.
template <class T>
void clear_unused(const Call& c, const Scatter& s) {
  if (s.bags.has_offsets) std::fill_n(c.out<T>(0), s.bags.capacity, T{0});
}

void run_weights(const Call& c) {
  const auto& s = c.state<Scatter>();
  rows::visit_rows(c.in_spec(1).dtype, "embedding_bag_weights_grad()", [&]<class T, class W>() {
    clear_unused<T>(c, s);
    parallel_for(s.bags.bags, 512, [&](int64_t b, int64_t e) { weights_of_bags<T, W, T>(c, s, b, e); });
  });
}
void run_weights_reference(const Call& c) {
  const auto& s = c.state<Scatter>();
  rows::visit_rows(c.in_spec(1).dtype, "embedding_bag_weights_grad()", [&]<class T, class W>() {
    clear_unused<T>(c, s);
    weights_of_bags<T, W, double>(c, s, 0, s.bags.bags);
  });
}

Attrs attrs(std::vector<int64_t> base, std::vector<int64_t> rows, std::vector<int64_t> pooling, int64_t table_rows,
            bool offsets, bool weights = false) {
  return {{"row_base", std::move(base)}, {"rows", std::move(rows)},         {"pooling", std::move(pooling)},
          {"table_rows", table_rows},    {"has_offsets", int64_t{offsets}}, {"has_weights", int64_t{weights}}};
}

void samples_table(Samples& s) {
  const auto ids = [](const Shape& shape, double high) { return i64(shape, Fill::integers(-1, high)); };
  s.add({"one id a bag", {f32({5, 2, 4}), ids({5, 2}, 7)}, attrs({0, 7}, {7, 3}, {0}, 10, false)})
      .add({"many repeats, weighted",
            {f32({100, 2, 8}), ids({100, 2}, 4), f32({100, 2})},
            attrs({0}, {5}, {0}, 7, false, true)})
      .add({"bags by sum, mean and max",
            {f32({4, 3, 5}), ids({40}, 6), i64({13}, Fill::bags(37)), fixed(f32({12, 5}))},
            attrs({0, 5, 2}, {5, 7, 6}, {0, 1, 2}, 12, true)})
      .add({"bags by max alone",
            {f32({30, 2, 5}), ids({150}, 6), i64({61}, Fill::bags(140)), fixed(f32({12, 5}))},
            attrs({0, 5}, {7, 7}, {2, 2}, 12, true)})
      .add({"weighted mean",
            {f32({8, 2, 16}), ids({64}, 11), i64({17}, Fill::bags(60)), f32({64})},
            attrs({0, 10}, {10, 10}, {0, 1}, 20, true, true)})
      .add({"three rows of 140, about 700 ids each",
            {f32({1050, 2, 140}), i64({1050, 2}, Fill::integers(0, 2))},
            attrs({0}, {3}, {0}, 4, false)})
      .add({.name = "no samples",
            .in = {f32({0, 2, 4}), ids({0, 2}, 4)},
            .attrs = attrs({0}, {5}, {0}, 5, false),
            .constant_ok = true})
      .add({.name = "positions of a sequence model",
            .in = {f32({64, 50, 128}), i64({64, 50}, Fill::integers(0, 199))},
            .attrs = attrs({0}, {200}, {0}, 200, false),
            .grad = false,
            .bench = true})
      .add({.name = "dy of another shape",
            .in = {f32({5, 3, 4}), ids({5, 2}, 7)},
            .attrs = attrs({0, 7}, {7, 3}, {0}, 10, false),
            .throws = "input 0 is [5, 3, 4], expected [5, 2, 4]"});
}

void samples_weights(Samples& s) {
  const auto ids = [](const Shape& shape, double high) { return i64(shape, Fill::integers(-1, high)); };
  s.add({"one id a bag", {f32({5, 2, 4}), f32({10, 4}), ids({5, 2}, 3)}, attrs({0, 7}, {7, 3}, {0}, 10, false, true)})
      .add({"bags, unused tail",
            {f32({4, 3, 5}), f32({12, 5}), ids({40}, 6), i64({13}, Fill::bags(37))},
            attrs({0, 5, 2}, {5, 7, 6}, {0, 1, 0}, 12, true)})
      .add({"bags by mean",
            {f32({10, 1, 6}), f32({9, 6}), i64({30}, Fill::integers(-4, 8)), i64({11}, Fill::bags(30))},
            attrs({0}, {9}, {1}, 9, true, true)})
      .add({"dim 1", {f32({100, 1, 1}), f32({30, 1}), ids({100, 1}, 29)}, attrs({0}, {30}, {0}, 30, false)})
      .add({.name = "dy of another shape",
            .in = {f32({5, 2, 3}), f32({10, 4}), ids({5, 2}, 7)},
            .attrs = attrs({0, 7}, {7, 3}, {0}, 10, false),
            .throws = "input 0 is [5, 2, 3], expected [5, 2, 4]"});
}

const char* single_only(const NodeSpec& n, const DeviceInfo&) {
  return n.in[0].dtype == DType::F64 ? "f64 runs on the reference" : nullptr;
}

}  // namespace

void register_embedding_bag_grad(Registry& r) {
  r.add({.name = "embedding_bag_grad",
         .doc = "dy [B, F, D], ids, [offsets], [weights], [table] -> dtable [table_rows, D]",
         .infer = infer_table,
         .no_grad = kFirstOrder,
         .samples = samples_table,
         .tolerance = {.ulp = 4, .sum = 64},
         .kernels = {{.name = "row_ranges", .reject = single_only, .prepare = prepare_table, .run = run_table},
                     {.name = "reference", .prepare = prepare_table, .run = run_table_reference}}});
  r.add({.name = "embedding_bag_weights_grad",
         .doc = "dy [B, F, D], table [R, D], ids, [offsets] -> gradient of the weights, shape of ids",
         .infer = infer_weights,
         .no_grad = kFirstOrder,
         .samples = samples_weights,
         .tolerance = {.ulp = 4, .sum = 16},
         .kernels = {{.name = "vectorised", .reject = single_only, .prepare = prepare_weights, .run = run_weights},
                     {.name = "reference", .prepare = prepare_weights, .run = run_weights_reference}}});
}

}  // namespace winnow
