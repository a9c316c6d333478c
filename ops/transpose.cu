// transpose: rows where the last axis stays, tiles through shared memory where it moves, single elements where a tile
// would be nearly empty.
#include "ops/detail/broadcast_kernel.h"
#include "ops/detail/element_size.h"
#include "ops/detail/transpose_axes.h"

namespace winnow {
namespace {

using namespace detail;

constexpr int kTile = 32, kLeastExtent = 8;

// One matrix for each combination of the axes other than the last of y (rows) and the last of x (columns).
struct Matrices {
  int64_t rows, columns, x_stride, y_stride;  // x_stride between rows of x, y_stride between columns' rows of y
  int64_t row_tiles, column_tiles, count;
  int axes;
  TransposeAxes::Axis axis[Shape::kMaxRank];  // outside the matrix
};

// Block: a tile.
template <class U>
__global__ void __launch_bounds__(256) transpose_tiles(const __grid_constant__ Matrices m, const U* x, U* y) {
  WN_SHARED(U, tile, [kTile][kTile + 1]);
  const int64_t row = blockIdx.x % m.row_tiles * kTile, rest = blockIdx.x / m.row_tiles;
  const int64_t column = rest % m.column_tiles * kTile;
  int64_t left = rest / m.column_tiles;
  for (int a = m.axes - 1; a >= 0; --a) {
    const int64_t next = left / m.axis[a].extent, at = left - next * m.axis[a].extent;
    x += at * m.axis[a].x_stride;
    y += at * m.axis[a].y_stride;
    left = next;
  }
  const int lane = static_cast<int>(threadIdx.x % kTile), first = static_cast<int>(threadIdx.x / kTile);
  constexpr int kStep = 256 / kTile;
  for (int r = first; r < kTile; r += kStep)
    if (row + r < m.rows && column + lane < m.columns) tile[r][lane] = x[(row + r) * m.x_stride + column + lane];
  __syncthreads();
  for (int k = first; k < kTile; k += kStep)
    if (row + lane < m.rows && column + k < m.columns) y[(column + k) * m.y_stride + row + lane] = tile[lane][k];
}

struct State {
  bool tiles = false;
  Matrices matrices{};
  BroadcastPlan<1> plan;  // without tiles
};

BroadcastPlan<1> rows_of(const TransposeAxes& s, int64_t numel) {
  const bool last_stays = s.rank > 0 && s.x_last == s.rank - 1;
  BroadcastPlan<1> p;
  p.axes = s.rank - (last_stays ? 1 : 0);
  p.inner = last_stays ? s.axes[static_cast<size_t>(s.rank - 1)].extent : 1;
  p.rows = p.inner == 0 ? 0 : numel / p.inner;
  p.dense = last_stays ? 1 : 0;
  for (size_t a = 0; a < static_cast<size_t>(p.axes); ++a) {
    p.extent[a] = s.axes[a].extent;
    p.stride[a] = {s.axes[a].x_stride};
  }
  return p;
}
void prepare(const NodeSpec& n, Prepare& p) {
  auto& state = p.state<State>();
  const TransposeAxes s = transpose_axes(n);
  const int64_t numel = n.out[0].shape.numel();
  if (numel == 0) return;
  state.plan = rows_of(s, numel);
  if (s.rank < 2 || s.x_last < 0 || s.x_last == s.rank - 1) return;
  const auto &r = s.axes[static_cast<size_t>(s.rank - 1)], &k = s.axes[static_cast<size_t>(s.x_last)];
  state.tiles = r.extent >= kLeastExtent && k.extent >= kLeastExtent;
  Matrices& m = state.matrices;
  m.rows = r.extent, m.columns = k.extent, m.x_stride = r.x_stride, m.y_stride = k.y_stride;
  m.row_tiles = (m.rows + kTile - 1) / kTile, m.column_tiles = (m.columns + kTile - 1) / kTile, m.count = s.rows;
  for (int a = 0; a < s.rank - 1; ++a)
    if (a != s.x_last) m.axis[m.axes++] = s.axes[static_cast<size_t>(a)];
}
void run(const Call& c) {
  const auto& s = c.state<State>();
  if (c.out_numel(0) == 0) return;
  visit_size(c.in_spec(0).dtype, [&]<class U> {
    if (!s.tiles) return broadcast<Copied>(c, s.plan, c.out<U>(0), c.in<U>(0));
    const Matrices& m = s.matrices;
    cuda::run(c, transpose_tiles<U>, cuda::grid(m.row_tiles * m.column_tiles * m.count, 1, 0x7fffffff), 256, 0, m,
              c.in<U>(0), c.out<U>(0));
  });
}

}  // namespace

void register_transpose_cuda(Registry& r) {
  r.add_kernel("transpose", {.name = "tiles", .device = Device::CUDA, .prepare = prepare, .run = run});
}

}  // namespace winnow
