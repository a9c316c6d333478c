// slice, and slice_grad in one pass over the whole: the piece or zeros.
#include "ops/detail/copy_kernel.h"
#include "ops/detail/row_pieces.h"

namespace winnow {
namespace {

using namespace detail;

void prepare_slice(const NodeSpec& n, Prepare& p) { p.state<RowSlice>() = row_slice(n.in[0], n.out[0], n.attrs); }
void run_slice(const Call& c) {
  const RowSlice& s = c.state<RowSlice>();
  if (c.out_numel(0) == 0) return;
  copy_all(c, s.outer, 1, [&](int) {
    return RowCopy{c.in<char>(0) + s.offset, c.out<char>(0), s.width, s.piece, s.piece};
  });
}

// Rows of `width` units, of which [offset, offset + piece) come from dy.
template <class U, class Index>
__global__ void __launch_bounds__(256)
    pad_rows(Index rows, Index width, Index offset, Index piece, const U* dy, U* dx) {
  const Index all = rows * width, step = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < all; i += step) {
    const Index row = i / width, column = i - row * width;
    U unit{};
    if (column >= offset && column - offset < piece) unit = dy[int64_t{row} * piece + (column - offset)];
    dx[i] = unit;
  }
}
void prepare_slice_grad(const NodeSpec& n, Prepare& p) { p.state<RowSlice>() = row_slice(n.out[0], n.in[0], n.attrs); }
void run_slice_grad(const Call& c) {
  const RowSlice& s = c.state<RowSlice>();
  if (c.out_numel(0) == 0) return;
  const char* dy = c.in<char>(0);
  char* dx = c.out<char>(0);
  visit_unit(copy_unit(address(dy), address(dx), s.width, s.offset, s.piece), [&]<class U> {
    const int64_t unit = sizeof(U), all = s.outer * (s.width / unit);
    const auto launch = [&]<class Index>(Index) {
      cuda::run(c, pad_rows<U, Index>, cuda::grid(all, 256), 256, 0, static_cast<Index>(s.outer),
                static_cast<Index>(s.width / unit), static_cast<Index>(s.offset / unit),
                static_cast<Index>(s.piece / unit), reinterpret_cast<const U*>(dy), reinterpret_cast<U*>(dx));
    };
    all < kMostUnits ? launch(uint32_t{}) : launch(int64_t{});
  });
}

}  // namespace

void register_slice_cuda(Registry& r) {
  r.add_kernel("slice", {.name = "rows", .device = Device::CUDA, .prepare = prepare_slice, .run = run_slice});
  r.add_kernel("slice_grad",
               {.name = "rows", .device = Device::CUDA, .prepare = prepare_slice_grad, .run = run_slice_grad});
}

}  // namespace winnow
