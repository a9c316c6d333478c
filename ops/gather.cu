// gather and one_hot.
#include "ops/detail/copy_kernel.h"
#include "ops/detail/row_index.h"

namespace winnow {
namespace {

using namespace detail;

// Rows of `units` units; `all` units of y.
template <class U, class Index>
__global__ void __launch_bounds__(256)
    gather_rows(Index units, Index all, int64_t rows, const U* x, const int64_t* indices, U* y) {
  const Index step = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < all; i += step) {
    const Index row = i / units, column = i - row * units;
    const int64_t index = indices[row];
    U unit{};
    if (within(index, rows)) unit = x[index * units + column];
    y[i] = unit;
  }
}
void run_gather(const Call& c) {
  const Shape& shape = c.in_spec(0).shape;
  const int64_t width = shape.inner(0) * static_cast<int64_t>(size_of(c.in_spec(0).dtype)), rows = shape[0];
  if (c.out_numel(0) == 0) return;
  visit_unit(copy_unit(width, address(c.inputs[0]), address(c.outputs[0])), [&]<class U> {
    const int64_t units = width / static_cast<int64_t>(sizeof(U)), all = c.in_numel(1) * units;
    const auto launch = [&]<class Index>(Index) {
      cuda::run(c, gather_rows<U, Index>, cuda::grid(all, 256), 256, 0, static_cast<Index>(units),
                static_cast<Index>(all), rows, c.in<U>(0), c.in<int64_t>(1), c.out<U>(0));
    };
    all < kMostUnits ? launch(uint32_t{}) : launch(int64_t{});
  });
}

// Into zeros.
template <class Unused = void>
__global__ void __launch_bounds__(256) set_ones(int64_t n, int64_t depth, const int64_t* indices, float* y) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n && within(indices[i], depth)) y[i * depth + indices[i]] = 1;
}
void run_one_hot(const Call& c) {
  const int64_t n = c.in_numel(0), depth = c.out_spec(0).shape.back();
  if (n == 0) return;
  cuda::check(cudaMemsetAsync(c.outputs[0], 0, static_cast<size_t>(n * depth) * sizeof(float), cuda::stream_of(c)),
              c.spec->op->name);
  cuda::run(c, set_ones<>, cuda::grid(n, 256, 0x7fffffff), 256, 0, n, depth, c.in<int64_t>(0), c.out<float>(0));
}

}  // namespace

void register_gather_cuda(Registry& r) {
  r.add_kernel("gather", {.name = "units", .device = Device::CUDA, .run = run_gather});
  r.add_kernel("one_hot", {.name = "ones", .device = Device::CUDA, .run = run_one_hot});
}

}  // namespace winnow
