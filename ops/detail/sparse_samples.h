// Samples that the sparse optimizers share.
#pragma once
#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "core/samples.h"

namespace winnow {

// A table of R = 10 rows with 4 of them touched by 6 occurrences of 8 (two missing), the rest of `dim`.
inline std::vector<Arg> sparse_case(int states, bool row_state, int64_t dim, DType table = DType::F32) {
  std::vector<Arg> in = {{{table, {10, dim}}, Fill::normal(), false}};
  const Shape state = row_state ? Shape{10} : Shape{10, dim};
  for (int i = 0; i < states; ++i)  // the last one holds squares
    in.push_back(fixed(f32(state, i + 1 == states ? Fill::uniform(0.1, 2) : Fill::normal())));
  in.push_back(i64({8}, Fill::of({0, 3, 5, 9, -1, -1, -1, -1})));
  in.push_back(i32({9}, Fill::of({0, 1, 3, 4, 6, 6, 6, 6, 6})));
  in.push_back(i64({}, Fill::of({4})));
  in.push_back(i32({8}, Fill::of({2, 0, 1, 4, 0, 3, 0, 0})));
  in.push_back(fixed(f32({8}, Fill::of({1, 1, 0.5, 0.5, 1, 2, 0, 0}))));
  in.push_back(fixed(f32({5, dim})));
  in.push_back(fixed(f32({}, Fill::of({0.05}))));
  in.push_back(i64({}, Fill::of({3})));
  in.push_back(fixed(f32({}, Fill::of({0.5}))));
  return in;
}

// unique_rows, starts, count, bag, coef, dy: `starts` and the end of the last segment, in arrays of `positions`.
inline std::vector<Arg> segments_at(std::vector<double> starts, int64_t positions, int64_t dim, int64_t rows) {
  const int64_t count = static_cast<int64_t>(starts.size()) - 1;
  std::vector<double> unique;
  for (int64_t k = 0; k < positions; ++k)
    unique.push_back(k < count ? static_cast<double>(k * (rows - 1) / (count - 1)) : -1);
  starts.resize(static_cast<size_t>(positions + 1), starts.back());
  return {i64({positions}, Fill::of(unique)),
          i32({positions + 1}, Fill::of(starts)),
          i64({}, Fill::of({static_cast<double>(count)})),
          i32({positions}, Fill::integers(0, 299)),
          fixed(f32({positions})),
          fixed(f32({300, dim}))};
}
// 1600 occurrences of 1650, most of them of a few rows below 700.
inline std::vector<Arg> long_segments(int64_t dim, int64_t rows) {
  return segments_at({0, 1, 41, 42, 75, 107, 140, 1100, 1134, 1599, 1600}, 1650, dim, rows);
}
// 300 rows of one occurrence, then one of 100.
inline std::vector<Arg> long_behind_short(int64_t dim) {
  std::vector<double> starts(301);
  std::iota(starts.begin(), starts.end(), 0.0);
  starts.push_back(400);
  return segments_at(starts, 420, dim, 700);
}

// batch x 26 occurrences over a table: each touched row has `repeats` of them.
inline std::vector<Arg> sparse_ctr_case(int states, bool row_state, int64_t batch = 2048, int64_t table_rows = 1000000,
                                        int64_t repeats = 4, int64_t dim = 16) {
  const int64_t ids = batch * 26, unique = ids / repeats, spacing = (table_rows - 1) / unique;
  const auto count = static_cast<size_t>(ids);
  std::vector<Arg> in = {{{DType::F32, {table_rows, dim}}, Fill::normal(0.01), false}};
  const Shape state = row_state ? Shape{table_rows} : Shape{table_rows, dim};
  for (int i = 0; i < states; ++i) in.push_back(fixed(f32(state, Fill::uniform(0.001, 0.01))));
  std::vector<double> rows(count, -1), starts(count + 1, static_cast<double>(ids));
  for (int64_t k = 0; k < unique; ++k) {
    rows[static_cast<size_t>(k)] = static_cast<double>(k * spacing + k * k % (spacing / 2));
    starts[static_cast<size_t>(k)] = static_cast<double>(repeats * k);
  }
  in.push_back(i64({ids}, Fill::of(rows)));
  in.push_back(i32({ids + 1}, Fill::of(starts)));
  in.push_back(i64({}, Fill::of({static_cast<double>(unique)})));
  in.push_back(i32({ids}, Fill::integers(0, static_cast<double>(ids - 1))));
  in.push_back(fixed(f32({ids}, Fill::uniform(0.5, 1))));
  in.push_back(fixed(f32({ids, dim})));
  in.push_back(fixed(f32({}, Fill::of({0.01}))));
  in.push_back(i64({}, Fill::of({100})));
  in.push_back(fixed(f32({}, Fill::of({1}))));
  return in;
}

// The samples of one operator; `extra` attributes hold what its rule needs.
inline void add_sparse_samples(Samples& s, int states, bool row_state, const Attrs& attrs) {
  Attrs penalised = attrs, rounded = attrs;
  penalised.set("l1", 0.01).set("l2", 0.1).set("clip_value", 0.4);
  rounded.set("stochastic_rounding", int64_t{1}).set("seed", int64_t{5}).set("stream", int64_t{2});
  for (const int64_t dim : {1, 3, 4, 8, 16, 32, 64, 128}) {
    Attrs with = dim == 3 || dim == 32 ? penalised : attrs;
    s.add({"dim " + std::to_string(dim), sparse_case(states, row_state, dim), with});
  }
  s.add({"bf16 rows", sparse_case(states, row_state, 16, DType::BF16), penalised});
  s.add({"bf16 rows, stochastic rounding", sparse_case(states, row_state, 5, DType::BF16), rounded});
  auto many = sparse_case(states, row_state, 12);
  std::vector<Arg> segments = long_segments(12, 10);
  std::move(segments.begin(), segments.end(), many.begin() + 1 + states);
  s.add({"rows of many occurrences", many, attrs});
  auto outside = sparse_case(states, row_state, 8);
  outside[static_cast<size_t>(1 + states)].fill = Fill::of({0, 3, 9, 10, -1, -1, -1, -1});
  s.add({"a row that the table does not have", outside, attrs});
  auto untouched = sparse_case(states, row_state, 4);
  untouched[static_cast<size_t>(3 + states)].fill = Fill::of({0});
  s.add({.name = "nothing touched", .in = untouched, .attrs = attrs, .constant_ok = true});
  s.add({.name = "CTR batch: 53,248 ids on 13,312 rows of 1e6, dim 16",
         .in = sparse_ctr_case(states, row_state),
         .attrs = attrs,
         .grad = false,
         .bench = true});
  auto narrow = sparse_case(states, row_state, 4);
  narrow[static_cast<size_t>(6 + states)].spec.shape = {5, 3};
  s.add({.name = "dy of another width", .in = narrow, .attrs = attrs, .throws = "differ in width"});
  s.add({.name = "stochastic rounding of f32",
         .in = sparse_case(states, row_state, 4),
         .attrs = rounded,
         .throws = "stochastic rounding is for bf16 rows"});
}

}  // namespace winnow
