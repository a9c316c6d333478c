#include "ops/segments.h"

#include <bit>

#include "core/parallel.h"
#include "core/samples.h"
#include "ops/detail/segment_plan.h"

namespace winnow {
namespace {

using Use = SegmentPlan::Use;

// The CPU's sort: passes of `digit` bits over `blocks` blocks.
struct Plan : SegmentPlan {
  int passes, digit;
  int64_t block, blocks;
  explicit Plan(std::vector<BagSpec> specs) : SegmentPlan(std::move(specs)) {
    const int bits = std::max(1, static_cast<int>(std::bit_width(none)));
    passes = (bits + 11) / 12;
    digit = (bits + passes - 1) / passes;
    block = std::max<int64_t>(4096, (n + 31) / 32);
    blocks = std::max<int64_t>(1, (n + block - 1) / block);
  }
};

// The key is a row of the stack; the payload a bag (plain) or a position in the concatenation of all uses.
struct Entry {
  uint32_t key, payload;
};

void infer(Infer& in) {
  const int64_t uses = in.attrs().integer("uses");
  in.check(uses >= 1, "{} uses of a table; at least 1 is needed", uses);
  std::vector<BagSpec> specs;
  int input = 0;
  DType coef = in.attrs().flag("f64") ? DType::F64 : DType::F32;
  for (int64_t u = 0; u < uses; ++u) {
    specs.push_back(infer_bags(in, input, suffix_of_use(u)));
    in.check(!specs.back().any_max,
             "max pooling has no row-sparse gradient: pool by sum or mean, or make the table dense");
    input += specs.back().inputs();
    if (specs.back().has_weights && in.dtype(input - 1) == DType::F64) coef = DType::F64;
  }
  in.expect_inputs(input);
  for (int64_t u = 0, i = 0; u < uses; ++u) {
    i += specs[static_cast<size_t>(u)].inputs();
    if (specs[static_cast<size_t>(u)].has_weights) in.expect_dtype(static_cast<int>(i) - 1, {coef});
  }
  int64_t n = 0;
  try {
    n = SegmentPlan(std::move(specs)).n;
  } catch (const ShapeError& e) { in.fail(e.what()); }
  in.out(DType::I64, {n});
  in.out(DType::I32, {n + 1});
  in.out(DType::I64, {});
  in.out(DType::I32, {n});
  in.out(coef, {n});
}

constexpr int64_t kLine = 64;
int64_t round_line(int64_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

// Scratch: two entry arrays, one histogram a block, row counts of the blocks, bag and coefficient of each position.
struct Work {
  Entry *a, *b;
  uint32_t* histogram;
  int64_t* heads;
  int32_t* bag;
  void* coef;
  int64_t bytes;

  Work(const Plan& p, void* scratch) {
    auto* base = static_cast<char*>(scratch);
    int64_t at = 0;
    const auto take = [&](int64_t size) { return base + std::exchange(at, at + round_line(size)); };
    a = reinterpret_cast<Entry*>(take(p.n * 8));
    b = reinterpret_cast<Entry*>(take(p.n * 8));
    histogram = reinterpret_cast<uint32_t*>(take(p.blocks * 4 << p.digit));
    heads = reinterpret_cast<int64_t*>(take((p.blocks + 1) * 8));
    bag = reinterpret_cast<int32_t*>(take(p.plain ? 0 : p.n * 4));
    coef = take(p.plain ? 0 : p.n * 8);
    bytes = at;
  }
};

void prepare(const NodeSpec& node, Prepare& prepare) {
  const Plan& p = prepare.state<Plan>(read_uses(node));
  alignas(kLine) static char origin;  // only differences to it are used
  prepare.scratch(static_cast<size_t>(Work(p, &origin).bytes));
}

// Entries of one use, in the order (sample, feature, position).
template <class T>
void write_entries(const Call& c, const Plan& p, const Use& use, const Work& w) {
  const BagSpec& s = use.bags;
  const BagData<T> in(c, s, use.input);
  const auto key = [&](int64_t row) { return row >= 0 ? static_cast<uint32_t>(row) : p.none; };
  Entry* entries = w.a + use.first_position;
  if (s.has_offsets) std::fill_n(entries, s.capacity, Entry{p.none, 0});  // positions that no bag covers
  parallel_for(s.bags, 4096, [&](int64_t begin, int64_t end) {
    int64_t f = begin % s.features;
    for (int64_t bag = begin; bag < end; ++bag) {
      const int64_t from = in.begin(bag), to = in.end(bag);
      T scale = 1;
      if (s.pool[static_cast<size_t>(f)] == BagSpec::Mean)
        scale = T{1} / static_cast<T>(std::max<int64_t>(1, valid_ids(s, in.ids, from, to, f)));
      for (int64_t k = from; k < to; ++k) {
        const int64_t position = use.first_position + k;
        entries[k] = {key(s.row(f, in.ids[k])), static_cast<uint32_t>(p.plain ? use.first_bag + bag : position)};
        if (p.plain) continue;
        w.bag[position] = static_cast<int32_t>(use.first_bag + bag);
        static_cast<T*>(w.coef)[position] = in.weights != nullptr ? scale * in.weights[k] : scale;
      }
      if (++f == s.features) f = 0;
    }
  });
}

// Stable least-significant-digit radix sort by key; returns a or b. Blocks are fixed by n, so threads share no counter.
Entry* sort_entries(const Plan& p, const Work& w) {
  Entry *from = w.a, *to = w.b;
  const int64_t buckets = int64_t{1} << p.digit;
  for (int pass = 0; pass < p.passes; ++pass, std::swap(from, to)) {
    const int shift = pass * p.digit;
    const uint32_t mask = static_cast<uint32_t>(buckets - 1);
    const auto over_blocks = [&](auto&& f) {
      parallel_for(p.blocks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t q = begin; q < end; ++q)
          f(w.histogram + q * buckets, q * p.block, std::min(p.n, (q + 1) * p.block));
      });
    };
    over_blocks([&](uint32_t* count, int64_t begin, int64_t end) {
      std::fill_n(count, buckets, 0u);
      for (int64_t i = begin; i < end; ++i) ++count[from[i].key >> shift & mask];
    });
    uint32_t sum = 0;
    for (int64_t k = 0; k < buckets; ++k)
      for (int64_t q = 0; q < p.blocks; ++q) sum += std::exchange(w.histogram[q * buckets + k], sum);
    over_blocks([&](uint32_t* next, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[next[from[i].key >> shift & mask]++] = from[i];
    });
  }
  return from;
}

// Splits sorted entries into segments and writes the outputs; `valid` entries are not missing.
template <class T>
void write_segments(const Call& c, const Plan& p, const Work& w, const Entry* sorted, int64_t valid) {
  auto *rows = c.out<int64_t>(0), *count = c.out<int64_t>(2);
  auto *starts = c.out<int32_t>(1), *bag = c.out<int32_t>(3);
  T* coef = c.out<T>(4);
  const auto is_head = [&](int64_t i) { return i == 0 || sorted[i].key != sorted[i - 1].key; };
  const auto over_blocks = [&](auto&& f) {
    parallel_for(p.blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t q = begin; q < end; ++q) f(q, std::min(valid, q * p.block), std::min(valid, (q + 1) * p.block));
    });
  };
  over_blocks([&](int64_t q, int64_t begin, int64_t end) {
    int64_t heads = 0;
    for (int64_t i = begin; i < end; ++i) heads += is_head(i);
    w.heads[q] = heads;
  });
  int64_t unique = 0;
  for (int64_t q = 0; q < p.blocks; ++q) unique += std::exchange(w.heads[q], unique);
  over_blocks([&](int64_t q, int64_t begin, int64_t end) {
    int64_t k = w.heads[q];
    for (int64_t i = begin; i < end; ++i) {
      if (is_head(i)) rows[k] = sorted[i].key, starts[k++] = static_cast<int32_t>(i);
      const uint32_t payload = sorted[i].payload;
      bag[i] = p.plain ? static_cast<int32_t>(payload) : w.bag[payload];
      coef[i] = p.plain ? T{1} : static_cast<const T*>(w.coef)[payload];
    }
  });
  *count = unique;
  std::fill(rows + unique, rows + p.n, int64_t{-1});
  std::fill(starts + unique, starts + p.n + 1, static_cast<int32_t>(valid));
  std::fill(bag + valid, bag + p.n, 0);
  std::fill(coef + valid, coef + p.n, T{0});
}

template <class Sort>
void run_with(const Call& c, Sort&& sort) {
  const auto& p = c.state<Plan>();
  const Work w(p, c.scratch);
  visit_float(c.out_spec(4).dtype, "embedding_segments()", [&]<class T>() {
    for (const Use& use : p.uses) write_entries<T>(c, p, use, w);
    const Entry* sorted = sort(p, w);
    const Entry* end =
        std::lower_bound(sorted, sorted + p.n, p.none, [](const Entry& e, uint32_t k) { return e.key < k; });
    write_segments<T>(c, p, w, sorted, end - sorted);
  });
}
void run_radix(const Call& c) { run_with(c, sort_entries); }
void run_reference(const Call& c) {  // bottom-up merge sort
  run_with(c, [](const Plan& p, const Work& w) {
    Entry *from = w.a, *to = w.b;
    for (int64_t width = 1; width < p.n; width *= 2, std::swap(from, to))
      for (int64_t i = 0; i < p.n; i += 2 * width) {
        Entry *middle = from + std::min(p.n, i + width), *end = from + std::min(p.n, i + 2 * width);
        std::merge(from + i, middle, middle, end, to + i, [](const Entry& x, const Entry& y) { return x.key < y.key; });
      }
    return from;
  });
}

void samples(Samples& s) {
  const auto ids = [](const Shape& shape, double high) { return i64(shape, Fill::integers(-1, high)); };
  using V = std::vector<int64_t>;
  const Attrs two_tables{{"uses", int64_t{1}}, {"row_base_0", V{0, 7}}, {"rows_0", V{7, 3}}, {"pooling_0", V{0}}};
  Attrs shared{{"uses", int64_t{2}}, {"row_base_0", V{0}}, {"rows_0", V{12}}, {"pooling_0", V{0}}};
  shared.set("row_base_1", V{0, 5}).set("rows_1", V{5, 7}).set("pooling_1", V{1, 0}).set("has_offsets_1", int64_t{1});
  Attrs weighted = shared;
  weighted.set("has_weights_1", int64_t{1}).set("padding_id_1", int64_t{0});
  Attrs max{
      {"uses", int64_t{1}}, {"row_base_0", V{0}}, {"rows_0", V{7}}, {"pooling_0", V{2}}, {"has_offsets_0", int64_t{1}}};
  V base;
  for (int64_t f = 0; f < 26; ++f) base.push_back(40000 * f);
  s.add({"two tables, missing ids", {ids({50, 2}, 7)}, two_tables})
      .add({"one use dense, one in bags with an unused tail",
            {ids({9, 1}, 11), ids({40}, 7), i64({13}, Fill::bags(33))},
            shared})
      .add({.name = "weights and padding",
            .in = {ids({9, 1}, 11), ids({40}, 7), i64({13}, Fill::bags(40)), f32({40})},
            .attrs = weighted,
            .integers = false})
      .add({"1000 rows, many repeats",
            {i64({3000, 3}, Fill::integers(0, 999))},
            {{"uses", int64_t{1}}, {"row_base_0", V{0, 100, 0}}, {"rows_0", V{100, 900, 1000}}, {"pooling_0", V{0}}}})
      .add({.name = "26 features, 1e6 rows, 100 samples",
            .in = {ids({100, 26}, 39999)},
            .attrs = {{"uses", int64_t{1}}, {"row_base_0", base}, {"rows_0", V{40000}}, {"pooling_0", V{0}}},
            .constant_ok = true})
      .add({"bags of 5000 ids, 1500 rows",
            {i64({5000}, Fill::integers(-1, 1499)), i64({1201}, Fill::bags(4900))},
            {{"uses", int64_t{1}},
             {"row_base_0", V{0}},
             {"rows_0", V{1500}},
             {"pooling_0", V{1}},
             {"has_offsets_0", int64_t{1}}}})
      .add({.name = "132000 ids, 300000 rows",
            .in = {i64({132000, 1}, Fill::integers(-1, 299999))},
            .attrs = {{"uses", int64_t{1}}, {"row_base_0", V{0}}, {"rows_0", V{300000}}, {"pooling_0", V{0}}},
            .constant_ok = true})
      .add({.name = "all missing",
            .in = {i64({4, 2}, Fill::integers(-3, -1))},
            .attrs = two_tables,
            .constant_ok = true})
      .add({.name = "no samples", .in = {i64({0, 2}, Fill::integers(0, 1))}, .attrs = two_tables, .constant_ok = true})
      .add({.name = "CTR batch: 26 features, 1e6 rows",
            .in = {i64({2048, 26}, Fill::integers(0, 39999))},
            .attrs = {{"uses", int64_t{1}}, {"row_base_0", base}, {"rows_0", V{40000}}, {"pooling_0", V{0}}},
            .bench = true,
            .constant_ok = true})
      .add({.name = "max pooling",
            .in = {ids({6}, 6), i64({4}, Fill::bags(6))},
            .attrs = max,
            .throws = "max pooling has no row-sparse gradient"})
      .add({.name = "too many rows",
            .in = {ids({6, 1}, 6)},
            .attrs = {{"uses", int64_t{1}}, {"row_base_0", V{0}}, {"rows_0", V{int64_t{1} << 33}}, {"pooling_0", V{0}}},
            .throws = "fewer than 2^32 - 1"});
}

}  // namespace

RowSegments row_segments(Graph& graph, const std::vector<RowGradient>& uses, Loc loc) {
  WN_CHECK(!uses.empty(), Error, "row_segments(): the table has no gradient: no lookup of it reaches the loss ({})",
           at_source(loc));
  std::vector<Value> in, gradients;
  Attrs attrs{{"uses", static_cast<int64_t>(uses.size())}};
  for (size_t u = 0; u < uses.size(); ++u) {
    const RowGradient& use = uses[u];
    const std::string end = suffix_of_use(static_cast<int64_t>(u));
    in.push_back(use.ids);
    if (use.offsets) in.push_back(use.offsets), attrs.set("has_offsets" + end, int64_t{1});
    if (use.weights) in.push_back(use.weights), attrs.set("has_weights" + end, int64_t{1});
    if (use.attrs.integer("padding_id", -1) != -1) attrs.set("padding_id" + end, use.attrs.integer("padding_id"));
    for (const char* name : {"row_base", "rows", "pooling"}) attrs.set(name + end, use.attrs.integers(name));
    const int64_t dim = use.dy.shape().back();
    WN_CHECK(dim > 0, ShapeError, "row_segments(): dy {} has no columns ({})", use.dy.shape().str(), at_source(loc));
    gradients.push_back(
        graph.apply("reshape", {use.dy}, {{"shape", std::vector<int64_t>{use.dy.shape().numel() / dim, dim}}}, loc));
  }
  if (gradients[0].dtype() == DType::F64) attrs.set("f64", int64_t{1});
  const auto out = graph.apply_all("embedding_segments", in, attrs, loc);
  const Value dy =
      gradients.size() == 1 ? gradients[0] : graph.apply_all("concat", gradients, {{"axis", int64_t{0}}}, loc)[0];
  return {out[0], out[1], out[2], out[3], out[4], dy};
}

void register_segments(Registry& r) {
  r.add(
      {.name = "embedding_segments",
       .doc = "(ids, [offsets], [weights]) per use -> unique_rows, starts, count, bag, coef: occurrences sorted by row",
       .infer = infer,
       .no_grad = "integer outputs; coefficients follow embedding_bag_weights_grad",
       .samples = samples,
       .tolerance = {.ulp = 2, .exact_integers = true},
       .kernels = {{.name = "radix", .prepare = prepare, .run = run_radix},
                   {.name = "reference", .prepare = prepare, .run = run_reference}}});
}

}  // namespace winnow
