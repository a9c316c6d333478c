#include "ops/embedding_bag.h"

#include <cstring>

#include "core/parallel.h"
#include "core/samples.h"
#include "ops/detail/bag_spec.h"
#include "ops/detail/rows.h"

namespace winnow {
namespace {

using rows::kAhead;

struct Lookup {
  BagSpec bags;
  int64_t dim;
};

void infer(Infer& in) {
  in.expect_inputs(2, 4);
  in.expect_dtype(0, {DType::F32, DType::BF16, DType::F64});
  in.expect_rank(0, 2);
  const BagSpec s = infer_bags(in, 1);
  in.expect_inputs(1 + s.inputs());
  const DType out = rows::arithmetic_type(in.dtype(0));
  if (s.has_weights) in.expect_dtype(s.inputs(), {out});
  in.check(s.table_rows() <= in.shape(0)[0], "a feature ends at row {}, the table is {}", s.table_rows(),
           in.shape(0).str());
  in.out(out, s.out_shape(in.shape(1), in.shape(0)[1]));
}

void grad(Grad& g) {
  const Attrs& attrs = g.attrs();
  const bool has_offsets = attrs.flag("has_offsets"), has_weights = attrs.flag("has_weights");
  const Value table = g.x(0), ids = g.x(1);
  const Value offsets = has_offsets ? g.x(2) : Value{}, weights = has_weights ? g.x(has_offsets ? 3 : 2) : Value{};
  const auto& pooling = attrs.integers("pooling");
  const bool max = std::find(pooling.begin(), pooling.end(), int64_t{BagSpec::Max}) != pooling.end();
  if (g.needs(0) && g.row_sparse(0)) {
    WN_CHECK(
        !max, ShapeError,
        "embedding_bag(): max pooling has no row-sparse gradient: pool by sum or mean, or make the table dense ({})",
        at_source(g.loc()));
    g.rows(0, {ids, offsets, weights, g.dy(), attrs});
  } else if (g.needs(0)) {
    WN_CHECK(table.dtype() != DType::BF16, DTypeError,
             "embedding_bag(): a bf16 table must be row-sparse to be trained; a dense gradient needs f32 ({})",
             at_source(g.loc()));
    std::vector<Value> in = {g.dy(), ids};
    if (has_offsets) in.push_back(offsets);
    if (has_weights) in.push_back(weights);
    if (max) in.push_back(table);
    Attrs with_rows = attrs;
    with_rows.set("table_rows", table.shape()[0]);
    g.dx(0, g.graph().apply_all("embedding_bag_grad", in, with_rows, g.loc())[0]);
  }
  if (has_weights && g.needs(g.inputs() - 1)) {
    std::vector<Value> in = {g.dy(), table, ids};
    if (has_offsets) in.push_back(offsets);
    g.dx(g.inputs() - 1, g.graph().apply_all("embedding_bag_weights_grad", in, attrs, g.loc())[0]);
  }
}

void prepare(const NodeSpec& n, Prepare& p) {
  p.state<Lookup>(read_bags(n.attrs, "", n.in[1].shape, n.attrs.flag("has_offsets") ? &n.in[2].shape : nullptr),
                  n.in[0].shape[1]);
}

template <int D, class T, class W>
void put_row(const W* row, int64_t dim, const T* weight, T* out) {
  const int64_t d = D > 0 ? D : dim;
  if (weight == nullptr) {
#pragma omp simd
    for (int64_t j = 0; j < d; ++j) out[j] = static_cast<T>(row[j]);
  } else {
#pragma omp simd
    for (int64_t j = 0; j < d; ++j) out[j] = *weight * static_cast<T>(row[j]);
  }
}

// One id a bag: bags [begin, end).
template <int D, class T, class W>
void copy_rows(const Lookup& s, const W* table, const BagData<T>& in, T* out, int64_t begin, int64_t end) {
  const int64_t d = D > 0 ? D : s.dim, features = s.bags.features;
  int64_t f = begin % features, ahead_f = begin % features, ahead = begin;
  for (int64_t i = begin; i < end; ++i) {
    for (const int64_t stop = std::min(i + kAhead, end); ahead < stop; ++ahead) {
      const int64_t r = s.bags.row(ahead_f, in.ids[ahead]);
      if (r >= 0) rows::prefetch(table + r * d, static_cast<size_t>(d) * sizeof(W));
      if (++ahead_f == features) ahead_f = 0;
    }
    const int64_t r = s.bags.row(f, in.ids[i]);
    if (r >= 0)
      put_row<D>(table + r * d, d, in.weights != nullptr ? in.weights + i : nullptr, out + i * d);
    else
      std::fill_n(out + i * d, d, T{0});
    if (++f == features) f = 0;
  }
}

// Brings the rows of bags [begin, end) into the cache, kAhead id positions before they are read.
template <class T, class W>
class Prefetcher {
 public:
  Prefetcher(const Lookup& s, const BagData<T>& in, const W* table, int64_t begin, int64_t end)
      : s_(s), in_(in), table_(table), bag_(begin), end_(end), at_(in.begin(begin)) {}
  void advance(int64_t position) {
    while (at_ < position + kAhead && bag_ < end_) {
      if (at_ >= in_.end(bag_)) {
        if (++bag_ < end_) at_ = in_.begin(bag_);
        continue;
      }
      const int64_t r = s_.bags.row(bag_ % s_.bags.features, in_.ids[at_++]);
      if (r >= 0) rows::prefetch(table_ + r * s_.dim, static_cast<size_t>(s_.dim) * sizeof(W));
    }
  }

 private:
  const Lookup& s_;
  const BagData<T>& in_;
  const W* table_;
  int64_t bag_, end_, at_;
};

template <int D, class T, class W>
void pool_bags(const Lookup& s, const W* table, const BagData<T>& in, T* out, int64_t begin, int64_t end) {
  const int64_t d = D > 0 ? D : s.dim;
  Prefetcher<T, W> prefetcher(s, in, table, begin, end);
  for (int64_t bag = begin; bag < end; ++bag) {
    const int64_t f = bag % s.bags.features;
    const uint8_t pool = s.bags.pool[static_cast<size_t>(f)];
    T* o = out + bag * d;
    T local[D > 0 ? D : 1];
    T* acc = D > 0 ? local : o;  // a fixed width stays in registers
#pragma omp simd
    for (int64_t j = 0; j < d; ++j) acc[j] = 0;
    int64_t valid = 0;
    for (int64_t k = in.begin(bag), last = in.end(bag); k < last; ++k) {
      prefetcher.advance(k);
      const int64_t r = s.bags.row(f, in.ids[k]);
      if (r < 0) continue;
      const W* row = table + r * d;
      if (pool == BagSpec::Max) {
#pragma omp simd
        for (int64_t j = 0; j < d; ++j)
          acc[j] = valid == 0 || static_cast<T>(row[j]) > acc[j] ? static_cast<T>(row[j]) : acc[j];
      } else {
        const T w = in.weights != nullptr ? in.weights[k] : T{1};
#pragma omp simd
        for (int64_t j = 0; j < d; ++j) acc[j] += w * static_cast<T>(row[j]);
      }
      ++valid;
    }
    const T divisor = pool == BagSpec::Mean && valid > 1 ? static_cast<T>(valid) : T{1};
#pragma omp simd
    for (int64_t j = 0; j < d; ++j) o[j] = acc[j] / divisor;
  }
}

void run_prefetching(const Call& c) {
  const auto& s = c.state<Lookup>();
  const auto run = [&]<class W>() {
    rows::visit_dim(s.dim, [&]<int D>() {
      const BagData<float> in(c, s.bags, 1);
      parallel_for(s.bags.bags / s.bags.features, 1 + 2048 / s.bags.features, [&](int64_t begin, int64_t end) {
        begin *= s.bags.features, end *= s.bags.features;
        if (in.offsets == nullptr)
          copy_rows<D>(s, c.in<W>(0), in, c.out<float>(0), begin, end);
        else
          pool_bags<D>(s, c.in<W>(0), in, c.out<float>(0), begin, end);
      });
    });
  };
  if (c.in_spec(0).dtype == DType::BF16) return run.template operator()<bf16>();
  run.template operator()<float>();
}

template <class T, class W>
void run_plain(const Call& c) {
  const auto& s = c.state<Lookup>();
  const BagData<T> in(c, s.bags, 1);
  const W* table = c.in<W>(0);
  for (int64_t bag = 0; bag < s.bags.bags; ++bag)
    for (int64_t j = 0; j < s.dim; ++j) {
      const int64_t f = bag % s.bags.features;
      double sum = 0, most = 0;
      int64_t valid = 0;
      for (int64_t k = in.begin(bag); k < in.end(bag); ++k) {
        const int64_t r = s.bags.row(f, in.ids[k]);
        if (r < 0) continue;
        const double x = static_cast<double>(static_cast<T>(table[r * s.dim + j]));
        sum += (in.weights != nullptr ? static_cast<double>(in.weights[k]) : 1.0) * x;
        most = valid++ == 0 ? x : std::max(most, x);
      }
      const uint8_t pool = s.bags.pool[static_cast<size_t>(f)];
      const double y = pool == BagSpec::Max                 ? most
                       : pool == BagSpec::Mean && valid > 0 ? sum / static_cast<double>(valid)
                                                            : sum;
      c.out<T>(0)[bag * s.dim + j] = static_cast<T>(y);
    }
}

void run_reference(const Call& c) {
  rows::visit_rows(c.in_spec(0).dtype, "embedding_bag()", [&]<class T, class W>() { run_plain<T, W>(c); });
}

Cost cost(const NodeSpec& n) {  // a row per id position, whatever the table's size
  const double ids = static_cast<double>(n.in[1].shape.numel()), dim = static_cast<double>(n.in[0].shape[1]);
  Cost c{ids * dim, static_cast<double>(n.out[0].bytes()) + ids * dim * static_cast<double>(size_of(n.in[0].dtype))};
  for (size_t i = 1; i < n.in.size(); ++i) c.bytes += static_cast<double>(n.in[i].bytes());
  return c;
}

Attrs attrs_of(const BagFeatures& f, const BagInputs& bags) {
  const auto shrink = [](std::vector<int64_t> list) {  // canonical, so that equal lookups merge
    if (!list.empty() && std::equal(list.begin() + 1, list.end(), list.begin())) list.resize(1);
    return list;
  };
  std::vector<int64_t> pooling;
  for (const Pooling p : f.pooling) pooling.push_back(static_cast<int64_t>(p));
  if (!bags.offsets) pooling.assign(1, 0);  // one id a bag: every pooling is the same
  const bool one = !bags.offsets && shrink(f.row_base).size() == 1 && shrink(f.rows).size() == 1;
  const size_t features = std::max({f.row_base.size(), f.rows.size(), pooling.size()});
  std::vector<int64_t> base = one ? shrink(f.row_base) : f.row_base;
  if (!one && base.size() == 1) base.resize(features, base[0]);  // its length is the number of features
  Attrs a{{"row_base", base}, {"rows", shrink(f.rows)}, {"pooling", shrink(pooling)}};
  if (bags.offsets) a.set("has_offsets", int64_t{1});
  if (bags.weights) a.set("has_weights", int64_t{1});
  if (f.padding_id != -1) a.set("padding_id", f.padding_id);
  return a;
}

Attrs sample_attrs(std::vector<int64_t> base, std::vector<int64_t> rows, std::vector<int64_t> pooling,
                   bool offsets = false, bool weights = false, int64_t padding = -1) {
  return {{"row_base", std::move(base)},     {"rows", std::move(rows)},         {"pooling", std::move(pooling)},
          {"has_offsets", int64_t{offsets}}, {"has_weights", int64_t{weights}}, {"padding_id", padding}};
}

void samples(Samples& s) {
  using V = std::vector<int64_t>;
  const auto ids = [](const Shape& shape, double high) { return i64(shape, Fill::integers(-1, high)); };
  const Arg bf16_table{{DType::BF16, {40, 16}}, Fill::normal(), false};
  s.add({"one id a bag, two tables, missing ids", {f32({10, 4}), ids({5, 2}, 7)}, sample_attrs({0, 7}, {7, 3}, {0})})
      .add({"sequence of one table, padding 0",
            {f32({9, 8}), ids({3, 7}, 8)},
            sample_attrs({0}, {9}, {0}, false, false, 0)})
      .add({"weighted single ids, dim 1",
            {f32({11, 1}), ids({13, 3}, 10), f32({13, 3})},
            sample_attrs({0}, {11}, {0}, false, true)})
      .add({.name = "bags by sum, mean and max, odd dim",
            .in = {f32({12, 5}), ids({40}, 6), i64({13}, Fill::bags(37))},
            .attrs = sample_attrs({0, 5, 2}, {5, 7, 6}, {0, 1, 2}, true),
            .integers = false})
      .add({.name = "weighted bags",
            .in = {f32({20, 16}), ids({64}, 11), i64({17}, Fill::bags(60)), f32({64})},
            .attrs = sample_attrs({0, 10}, {10, 10}, {0, 1}, true, true),
            .integers = false})
      .add({"bags by sum and max",
            {f32({20, 16}), ids({64}, 11), i64({17}, Fill::bags(60))},
            sample_attrs({0, 10}, {10, 10}, {0, 2}, true)})
      .add({"repeated ids, dim 32", {f32({3, 32}), i64({50, 1}, Fill::integers(0, 2))}, sample_attrs({0}, {3}, {0})})
      .add({.name = "dim 64 bags by mean",
            .in = {f32({30, 64}), ids({33}, 29), i64({9}, Fill::bags(33))},
            .attrs = sample_attrs({0, 0}, {30}, {1}, true),
            .integers = false})
      .add({"dim 128", {f32({6, 128}), ids({4, 3}, 6)}, sample_attrs({0}, {6}, {0})})
      .add({.name = "dim 260 bags by max and sum",
            .in = {f32({9, 260}), ids({21}, 8), i64({5}, Fill::bags(20))},
            .attrs = sample_attrs({0, 0}, {9}, {2, 0}, true),
            .integers = false})
      .add({"130 features", {f32({260, 6}), ids({3, 130}, 2)}, sample_attrs(V(130, 5), {2}, {0})})
      .add({.name = "empty bags only",
            .in = {f32({5, 4}), i64({3}, Fill::integers(0, 4)), i64({5}, Fill::integers(0, 0))},
            .attrs = sample_attrs({0, 0}, {5}, {0}, true),
            .constant_ok = true})
      .add({.name = "no samples",
            .in = {f32({5, 4}), i64({0, 2}, Fill::integers(0, 4))},
            .attrs = sample_attrs({0}, {5}, {0}),
            .constant_ok = true})
      .add({.name = "bf16 rows",
            .in = {bf16_table, ids({9, 2}, 21)},
            .attrs = sample_attrs({0, 20}, {20, 20}, {0}),
            .grad = false})
      .add({.name = "bf16 bags",
            .in = {bf16_table, ids({30}, 40), i64({8}, Fill::bags(30))},
            .attrs = sample_attrs({0}, {40}, {1}, true),
            .grad = false,
            .integers = false})
      .add({.name = "CTR batch: 26 features, dim 16, 1e6 rows",
            .in = {f32({1040000, 16}), ids({2048, 26}, 39999)},
            .attrs =
                [] {
                  V base;
                  for (int64_t f = 0; f < 26; ++f) base.push_back(40000 * f);
                  return sample_attrs(base, {40000}, {0});
                }(),
            .grad = false,
            .bench = true})
      .add({.name = "feature beyond the table",
            .in = {f32({10, 4}), ids({5, 2}, 7)},
            .attrs = sample_attrs({0, 7}, {7, 4}, {0}),
            .throws = "ends at row 11, the table is [10, 4]"})
      .add({.name = "features do not match ids",
            .in = {f32({10, 4}), ids({5, 3}, 7)},
            .attrs = sample_attrs({0, 7}, {7, 3}, {0}),
            .throws = "do not end in the 2 features"})
      .add({.name = "max with weights",
            .in = {f32({5, 4}), ids({6}, 4), i64({3}, Fill::bags(6)), f32({6})},
            .attrs = sample_attrs({0}, {5}, {2}, true, true),
            .throws = "max pooling takes no weights"})
      .add({.name = "mean without offsets",
            .in = {f32({5, 4}), ids({6}, 4)},
            .attrs = sample_attrs({0}, {5}, {1}),
            .throws = "pooling needs offsets"});
}

}  // namespace

Value embedding_bag(Value table, Value ids, const BagFeatures& features, const BagInputs& bags, Loc loc) {
  std::vector<Value> in = {table, ids};
  if (bags.offsets) in.push_back(bags.offsets);
  if (bags.weights) in.push_back(bags.weights);
  return table.graph->apply_all("embedding_bag", in, attrs_of(features, bags), loc)[0];
}

Value embedding(Value table, Value ids, int64_t padding_id, Loc loc) {
  return embedding_bag(table, ids, {.row_base = {0}, .rows = {table.shape()[0]}, .padding_id = padding_id}, {}, loc);
}

void register_embedding_bag(Registry& r) {
  r.add(
      {.name = "embedding_bag",
       .doc = "table [R, D], ids i64 [B, F] or [capacity], [offsets], [weights] -> [B, F, D]: pooled rows of each bag",
       .infer = infer,
       .grad = grad,
       .cost = cost,
       .samples = samples,
       .tolerance = {.ulp = 4, .sum = 8, .exact_integers = true},
       .kernels = {{.name = "prefetching",
                    .reject = [](const NodeSpec& n, const DeviceInfo&) -> const char* {
                      return n.in[0].dtype == DType::F64 ? "f64 runs on the reference" : nullptr;
                    },
                    .prepare = prepare,
                    .run = run_prefetching},
                   {.name = "reference", .prepare = prepare, .run = run_reference}}});
}

}  // namespace winnow
