#include "core/samples.h"
#include "ops/detail/copy.h"
#include "ops/detail/transpose_axes.h"
#include "ops/shape_ops.h"

namespace winnow {

using namespace detail;

Value transpose(Value x, const std::vector<int64_t>& perm, Loc loc) {
  return x.graph->apply("transpose", {x}, {{"perm", perm}}, loc);
}

namespace {

using List = std::vector<int64_t>;

void infer(Infer& i) {
  i.expect_inputs(1);
  const Shape& x = i.shape(0);
  const List& perm = i.attrs().integers("perm");
  i.check(static_cast<int>(perm.size()) == x.rank(), "perm has {} entries for {}", perm.size(), x.str());
  std::array<bool, Shape::kMaxRank> seen{};
  Shape y = x;
  for (int k = 0; k < x.rank(); ++k) {
    const int64_t a = perm[static_cast<size_t>(k)];
    i.check(a >= 0 && a < x.rank() && !seen[static_cast<size_t>(a)], "perm entry {} is out of range or repeated for {}",
            a, x.str());
    seen[static_cast<size_t>(a)] = true;
    y = y.with(k, x[static_cast<int>(a)]);
  }
  i.out(i.dtype(0), y);
}

void grad(Grad& g) {
  const List& perm = g.attrs().integers("perm");
  List inverse(perm.size());
  for (size_t k = 0; k < perm.size(); ++k) inverse[static_cast<size_t>(perm[k])] = static_cast<int64_t>(k);
  g.dx(0, g.apply("transpose", {g.dy()}, {{"perm", inverse}}));
}

void prepare(const NodeSpec& n, Prepare& p) { p.state<TransposeAxes>() = transpose_axes(n); }

const char* reject_runs(const NodeSpec& n, const DeviceInfo&) {
  const TransposeAxes s = transpose_axes(n);
  return s.rank == 0 || s.x_last == s.rank - 1 ? nullptr : "the last axis moves";
}
void run_runs(const Call& c) {
  const TransposeAxes& s = c.state<TransposeAxes>();
  const int64_t numel = c.out_numel(0);
  const int64_t run = s.rank == 0 ? numel : s.axes[static_cast<size_t>(s.rank - 1)].extent;
  if (numel == 0) return;
  visit_size(c.in_spec(0).dtype, [&]<class U> {
    const U* x = c.in<U>(0);
    U* y = c.out<U>(0);
    parallel_for(numel / run, grain(run), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        std::memcpy(y + i * run, x + transpose_offsets(s, i, -1).x, static_cast<size_t>(run) * sizeof(U));
    });
  });
}

const char* reject_tiles(const NodeSpec& n, const DeviceInfo&) {
  const TransposeAxes s = transpose_axes(n);
  return s.rank >= 2 && s.x_last >= 0 && s.x_last < s.rank - 1 ? nullptr : "the last axis stays, or a tensor is empty";
}
// to = the transpose of the 8 x 8 elements at `from`, in registers.
void transpose_block(const uint32_t* from, int64_t from_stride, uint32_t* to, int64_t to_stride) {
  typedef uint32_t Row __attribute__((vector_size(32)));
  constexpr Row kLow = {0, 8, 1, 9, 4, 12, 5, 13}, kHigh = {2, 10, 3, 11, 6, 14, 7, 15};
  constexpr Row kLowPairs = {0, 1, 8, 9, 4, 5, 12, 13}, kHighPairs = {2, 3, 10, 11, 6, 7, 14, 15};
  constexpr Row kLowHalves = {0, 1, 2, 3, 8, 9, 10, 11}, kHighHalves = {4, 5, 6, 7, 12, 13, 14, 15};
  Row a[8], b[8];
  for (int i = 0; i < 8; ++i) std::memcpy(&a[i], from + i * from_stride, sizeof(Row));
  for (int i = 0; i < 8; i += 2) {
    b[i] = __builtin_shuffle(a[i], a[i + 1], kLow);
    b[i + 1] = __builtin_shuffle(a[i], a[i + 1], kHigh);
  }
  for (int i = 0; i < 8; i += 4)
    for (int k = 0; k < 2; ++k) {
      a[i + 2 * k] = __builtin_shuffle(b[i + k], b[i + k + 2], kLowPairs);
      a[i + 2 * k + 1] = __builtin_shuffle(b[i + k], b[i + k + 2], kHighPairs);
    }
  for (int i = 0; i < 4; ++i) {
    b[i] = __builtin_shuffle(a[i], a[i + 4], kLowHalves);
    b[i + 4] = __builtin_shuffle(a[i], a[i + 4], kHighHalves);
  }
  for (int i = 0; i < 8; ++i) std::memcpy(to + i * to_stride, &b[i], sizeof(Row));
}

template <class U>
void transpose_tile(const U* from, int64_t from_stride, int64_t rows, int64_t columns, U* to, int64_t to_stride) {
  int64_t whole_rows = 0, whole_columns = 0;
  if constexpr (sizeof(U) == 4) {
    whole_rows = rows / 8 * 8;
    whole_columns = columns / 8 * 8;
    for (int64_t a = 0; a < whole_rows; a += 8)
      for (int64_t b = 0; b < whole_columns; b += 8)
        transpose_block(from + a * from_stride + b, from_stride, to + b * to_stride + a, to_stride);
  }
  for (int64_t a = 0; a < rows; ++a)
    for (int64_t b = a < whole_rows ? whole_columns : 0; b < columns; ++b)
      to[b * to_stride + a] = from[a * from_stride + b];
}

// A batch of matrices: rows are the last axis of y, columns the last of x. Tiles keep both sides in the cache.
void run_tiles(const Call& c) {
  constexpr int64_t kTile = 32;
  const TransposeAxes& s = c.state<TransposeAxes>();
  const auto &r = s.axes[static_cast<size_t>(s.rank - 1)], &k = s.axes[static_cast<size_t>(s.x_last)];
  const int64_t row_tiles = (r.extent + kTile - 1) / kTile, column_tiles = (k.extent + kTile - 1) / kTile;
  visit_size(c.in_spec(0).dtype, [&]<class U> {
    const U* x = c.in<U>(0);
    U* y = c.out<U>(0);
    parallel_for(s.rows * row_tiles * column_tiles, grain(kTile * kTile), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i % row_tiles * kTile, column = i / row_tiles % column_tiles * kTile;
        const int64_t rows = std::min(kTile, r.extent - row), columns = std::min(kTile, k.extent - column);
        const TransposeOffsets at = transpose_offsets(s, i / row_tiles / column_tiles, s.x_last);
        transpose_tile(x + at.x + row * r.x_stride + column, r.x_stride, rows, columns,
                       y + at.y + row + column * k.y_stride, k.y_stride);
      }
    });
  });
}

void run_reference(const Call& c) {
  const TransposeAxes& s = c.state<TransposeAxes>();
  visit_size(c.in_spec(0).dtype, [&]<class U> {
    const U* x = c.in<U>(0);
    U* y = c.out<U>(0);
    parallel_for(c.out_numel(0), kGrainElements, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        int64_t at = 0, left = i;
        for (int k = s.rank - 1; k >= 0; --k) {
          const auto& a = s.axes[static_cast<size_t>(k)];
          at += left % a.extent * a.x_stride;
          left /= a.extent;
        }
        y[i] = x[at];
      }
    });
  });
}

void samples(Samples& s) {
  s.add({.name = "matrix", .in = {f32({37, 41})}, .attrs = {{"perm", List{1, 0}}}})
      .add({.name = "vector", .in = {f32({5})}, .attrs = {{"perm", List{0}}}})
      .add({.name = "scalar", .in = {f32({})}, .attrs = {{"perm", List{}}}})
      .add({.name = "batched", .in = {f32({3, 5, 7})}, .attrs = {{"perm", List{0, 2, 1}}}})
      .add({.name = "heads", .in = {f32({2, 3, 4, 5})}, .attrs = {{"perm", List{0, 2, 1, 3}}}})
      .add({.name = "reverse", .in = {f32({2, 3, 4, 5})}, .attrs = {{"perm", List{3, 2, 1, 0}}}})
      .add({.name = "merged", .in = {f32({2, 3, 4})}, .attrs = {{"perm", List{2, 0, 1}}}})
      .add({.name = "tiles", .in = {f32({2, 40, 3, 35})}, .attrs = {{"perm", List{0, 3, 2, 1}}}})
      .add({.name = "wide_heads", .in = {f32({2, 3, 4, 8})}, .attrs = {{"perm", List{0, 2, 1, 3}}}})
      .add({.name = "ones", .in = {f32({1, 6, 1, 3})}, .attrs = {{"perm", List{2, 1, 3, 0}}}})
      .add({.name = "integers", .in = {i64({3, 5}, Fill::integers(-9, 9))}, .attrs = {{"perm", List{1, 0}}}})
      .add({.name = "narrow", .in = {i32({4, 3}, Fill::integers(-9, 9))}, .attrs = {{"perm", List{1, 0}}}})
      .add({.name = "empty", .in = {f32({0, 3})}, .attrs = {{"perm", List{1, 0}}}})
      .add({.name = "bench_matrix",
            .in = {f32({2048, 1024})},
            .attrs = {{"perm", List{1, 0}}},
            .grad = false,
            .bench = true})
      .add({.name = "bench_heads",
            .in = {f32({64, 50, 8, 16})},
            .attrs = {{"perm", List{0, 2, 1, 3}}},
            .grad = false,
            .bench = true})
      .add({.name = "entries",
            .in = {f32({3, 4})},
            .attrs = {{"perm", List{0}}},
            .throws = "perm has 1 entries for [3, 4]"})
      .add({.name = "repeated",
            .in = {f32({3, 4})},
            .attrs = {{"perm", List{1, 1}}},
            .throws = "perm entry 1 is out of range or repeated"})
      .add({.name = "range",
            .in = {f32({3, 4})},
            .attrs = {{"perm", List{0, 2}}},
            .throws = "perm entry 2 is out of range"});
}

}  // namespace

void register_transpose(Registry& r) {
  r.add({.name = "transpose",
         .doc = "y with axis k being axis perm[k] of x",
         .infer = infer,
         .grad = grad,
         .samples = samples,
         .tolerance = {.ulp = 0, .exact_integers = true},
         .kernels = {{.name = "runs", .reject = reject_runs, .prepare = prepare, .run = run_runs},
                     {.name = "tiles", .reject = reject_tiles, .prepare = prepare, .run = run_tiles},
                     {.name = "reference", .prepare = prepare, .run = run_reference}}});
}

}  // namespace winnow
