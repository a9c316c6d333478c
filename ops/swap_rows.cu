// Units of 16 bytes where rows and records allow. Bound by memory: rows of the table, scattered, and the records.
#include "ops/detail/copy_kernel.h"
#include "ops/detail/row_index.h"

namespace winnow {
namespace {

using namespace detail;

// Of a record of `stride` units those of one table, `units` a row.
template <class U>
__global__ void __launch_bounds__(256)
    swap_units(int64_t units, int64_t all, int64_t rows, U* table, U* packed, int64_t stride, const int64_t* slots) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < all; i += step) {
    const int64_t record = i / units, column = i - record * units, slot = slots[record];
    if (!within(slot, rows)) continue;
    U *const inside = table + slot * units + column, *const outside = packed + record * stride + column;
    const U moved = *inside;
    *inside = *outside;
    *outside = moved;
  }
}

void prepare(const NodeSpec& n, Prepare& p) { p.state<int64_t>(n.attrs.integer("column")); }
void run(const Call& c) {
  const Shape &table = c.in_spec(0).shape, &packed = c.in_spec(1).shape;
  constexpr auto kSize = static_cast<int64_t>(sizeof(float));
  const int64_t width = table.inner(0) * kSize, stride = packed[1] * kSize;
  float* const records = c.mut<float>(1) + c.state<int64_t>();
  if (width == 0 || packed[0] == 0) return;
  visit_unit(copy_unit(width, stride, address(c.inputs[0]), address(records)), [&]<class U> {
    const int64_t units = width / static_cast<int64_t>(sizeof(U)), all = packed[0] * units;
    cuda::run(c, swap_units<U>, cuda::grid(all, 256), 256, 0, units, all, table[0], c.mut<U>(0),
              reinterpret_cast<U*>(records), stride / static_cast<int64_t>(sizeof(U)), c.in<int64_t>(2));
  });
}

}  // namespace

void register_swap_rows_cuda(Registry& r) {
  r.add_kernel(
      "swap_rows",
      {.name = "units", .device = Device::CUDA, .reject = cuda::reject_all_but_f32, .prepare = prepare, .run = run});
}

}  // namespace winnow
