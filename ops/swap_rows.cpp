#include "ops/swap_rows.h"

#include <algorithm>

#include "core/parallel.h"
#include "core/samples.h"
#include "ops/detail/grain.h"
#include "ops/detail/row_index.h"

namespace winnow {
namespace {

void infer(Infer& in) {
  in.expect_inputs(3);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_same_dtype(0, 1);
  in.expect_dtype(2, {DType::I64});
  const Shape &table = in.shape(0), &packed = in.shape(1);
  in.check(table.rank() == 1 || table.rank() == 2, "table {} is neither [R, D] nor [R]", table.str());
  in.expect_rank(1, 2);
  in.expect_shape(2, {packed[0]});
  const int64_t column = in.attrs().integer("column");
  in.check(column >= 0 && column <= packed[1] - table.inner(0), "packed {} has no {} columns from {} on", packed.str(),
           table.inner(0), column);
}

void prepare(const NodeSpec& n, Prepare& p) { p.state<int64_t>(n.attrs.integer("column")); }
void run(const Call& c) {
  visit_float(c.in_spec(0).dtype, "swap_rows()", [&]<class T>() {
    const Shape &table = c.in_spec(0).shape, &packed = c.in_spec(1).shape;
    const int64_t dim = table.inner(0), column = c.state<int64_t>();
    const auto* slots = c.in<int64_t>(2);
    parallel_for(packed[0], detail::grain(dim), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (!detail::within(slots[i], table[0])) continue;
        T* const row = c.mut<T>(0) + slots[i] * dim;
        std::swap_ranges(row, row + dim, c.mut<T>(1) + i * packed[1] + column);
      }
    });
  });
}

Cost cost(const NodeSpec& n) {
  const auto rows = static_cast<double>(n.in[1].shape[0]), dim = static_cast<double>(n.in[0].shape.inner(0));
  return {0, rows * (8 + 4 * dim * static_cast<double>(size_of(n.in[0].dtype)))};
}

void samples(Samples& s) {
  const auto column = [](int64_t c) { return Attrs{{"column", c}}; };
  const auto table = [](const Shape& shape) { return fixed(f32(shape)); };
  s.add({"all columns", {table({9, 5}), table({4, 5}), i64({4}, Fill::of({8, 0, 3, 5}))}, column(0)})
      .add({"whole vectors among others", {table({9, 8}), table({3, 20}), i64({3}, Fill::of({2, 7, 1}))}, column(4)})
      .add({"columns that are no whole vectors",
            {table({9, 4}), table({3, 7}), i64({3}, Fill::of({2, 7, 1}))},
            column(3)})
      .add({"one number a row", {table({6}), table({3, 4}), i64({3}, Fill::of({5, 1, 2}))}, column(3)})
      .add(
          {"slots outside the table", {table({4, 3}), table({5, 3}), i64({5}, Fill::of({3, -1, 4, 0, -1}))}, column(0)})
      .add({.name = "no slots",
            .in = {table({4, 3}), table({0, 3}), i64({0}, Fill::of({}))},
            .attrs = column(0),
            .constant_ok = true})
      .add({.name = "4096 rows of 1e5, dim 16 of 48",
            .in = {table({100000, 16}), table({4096, 48}),
                   [] {
                     std::vector<double> slots(4096);
                     for (size_t i = 0; i < slots.size(); ++i) slots[i] = static_cast<double>((i * 40503) % 99991);
                     return i64({4096}, Fill::of(std::move(slots)));
                   }()},
            .attrs = column(16),
            .bench = true})
      .add({.name = "columns beyond",
            .in = {table({4, 3}), table({5, 3}), i64({5}, Fill::integers(0, 3))},
            .attrs = column(1),
            .throws = "has no 3 columns from 1 on"})
      .add({.name = "as many slots as records",
            .in = {table({4, 3}), table({5, 3}), i64({4}, Fill::integers(0, 3))},
            .attrs = column(0),
            .throws = "expected [5]"});
}

}  // namespace

void swap_rows(Value table, Value packed, Value slots, int64_t column, Loc loc) {
  table.graph->apply_all("swap_rows", {table, packed, slots}, {{"column", column}}, loc);
}

void register_swap_rows(Registry& r) {
  r.add({.name = "swap_rows",
         .doc = "table[slots[i]] <-> packed[i, column .. column + D): rows [R, D] and records [M, W] change places",
         .infer = infer,
         .no_grad = "moves the rows of variables",
         .cost = cost,
         .samples = samples,
         .tolerance = {.ulp = 0, .exact_integers = true},
         .kernels = {{.name = "reference", .prepare = prepare, .run = run}},
         .mutates = {0, 1}});
}

}  // namespace winnow
