// jagged_pad and jagged_unpad on CUDA devices: copies, 16 bytes a thread where rows are a multiple of them. Bound by
// memory.
#include "core/cuda/kernel.h"
#include "ops/detail/jagged_padding.h"
#include "ops/detail/jagged_rows.h"
#include "ops/detail/row_lanes.h"
#include "ops/jagged.h"

namespace winnow {
namespace {

using namespace detail;

// y [bags, max_len, width]: block (bag, chunk). The live rows of a bag are one range in both operands.
template <class U>
__global__ void __launch_bounds__(256, 4)
    pad(const U* values, const int64_t* offsets, int64_t capacity, int64_t max_len, int64_t width, U padding, U* y) {
  const int64_t bag = blockIdx.x;
  const RowRange rows = rows_of_bag(offsets, bag, capacity);
  const int64_t length = rows.end - rows.begin, live = (length < max_len ? length : max_len) * width;
  const U* const from = values + rows.begin * width;
  U* const to = y + bag * max_len * width;
  for (int64_t i = int64_t{blockIdx.y} * blockDim.x + threadIdx.x; i < max_len * width;
       i += int64_t{gridDim.y} * blockDim.x)
    to[i] = i < live ? from[i] : padding;
}

// values [capacity, width]: some lanes a row, which find its bag by a search over offsets.
template <class U>
__global__ void __launch_bounds__(256, 4) unpad(const U* dense, const int64_t* offsets, int64_t bags, int64_t capacity,
                                                int64_t max_len, int64_t width, unsigned lanes, U* values) {
  const unsigned lane = threadIdx.x % lanes, rows_of_block = blockDim.x / lanes;
  for (int64_t row = int64_t{blockIdx.x} * rows_of_block + threadIdx.x / lanes; row < capacity;
       row += int64_t{gridDim.x} * rows_of_block) {
    BagOfRow walk(offsets, bags, row);
    const bool live = walk.at(row) && row - walk.begin() < max_len;
    const U* const from = live ? dense + (walk.bag() * max_len + row - walk.begin()) * width : nullptr;
    for (int64_t i = lane; i < width; i += lanes) values[row * width + i] = live ? from[i] : U{};
  }
}

// f(rows as so many U, padding as a U)
template <class F>
void visit_units(DType dtype, int64_t width, uint64_t padding, F&& f) {
  const bool is_long = size_of(dtype) == 8;
  const int64_t of_vector = is_long ? 2 : 4;
  const auto low = static_cast<uint32_t>(padding), high = is_long ? static_cast<uint32_t>(padding >> 32) : low;
  if (width % of_vector == 0) return f(width / of_vector, make_uint4(low, high, low, high));
  is_long ? f(width, padding) : f(width, low);
}

struct Padding {
  uint64_t bits;
};
void prepare_pad(const NodeSpec& node, Prepare& p) { p.state<Padding>(Padding{padding_bits(node)}); }
void run_pad(const Call& c) {
  const int64_t bags = c.in_numel(1) - 1, max_len = c.out_spec(0).shape[1];
  if (c.out_numel(0) == 0) return;
  visit_units(c.in_spec(0).dtype, c.in_spec(0).shape.inner(0), c.state<Padding>().bits,
              [&]<class U>(int64_t w, U pad_) {
                const int64_t units = max_len * w, threads = units <= 64 ? 32 : units <= 512 ? 64 : 256;
                const dim3 blocks(static_cast<unsigned>(bags), cuda::grid(units, threads * 4, 1024).x);
                cuda::run(c, pad<U>, blocks, static_cast<unsigned>(threads), 0, c.in<U>(0), c.in<int64_t>(1),
                          c.in_spec(0).shape[0], max_len, w, pad_, c.out<U>(0));
              });
}
void run_unpad(const Call& c) {
  const int64_t capacity = c.out_spec(0).shape[0];
  if (c.out_numel(0) == 0) return;
  visit_units(c.in_spec(0).dtype, c.in_spec(0).shape.inner(1), 0, [&]<class U>(int64_t w, U) {
    const unsigned lanes = lanes_of_row(w);
    cuda::run(c, unpad<U>, cuda::grid(capacity * lanes, 256), 256, 0, c.in<U>(0), c.in<int64_t>(1), c.in_numel(1) - 1,
              capacity, c.in_spec(0).shape[1], w, lanes, c.out<U>(0));
  });
}

}  // namespace

void register_jagged_cuda(Registry& r) {
  r.add_kernel("jagged_pad", {.name = "copies", .device = Device::CUDA, .prepare = prepare_pad, .run = run_pad});
  r.add_kernel("jagged_unpad", {.name = "copies", .device = Device::CUDA, .run = run_unpad});
}

}  // namespace winnow
