// dropout and its gradient: a thread takes the eight elements of one Philox block, two runs of four. Memory bounds it:
// the ten rounds are paid once for eight elements.
#include "core/cuda/kernel.h"
#include "ops/detail/dropout_packs.h"

namespace winnow {
namespace {

using detail::DropoutBits, detail::PackDropout, detail::RowDropout;

constexpr unsigned kThreads = 256;

__device__ void drop_four(const PackDropout& d, DropoutBits bits, const float* x, float* y, int64_t i, int64_t n) {
  if (i + 4 <= n) {
    reinterpret_cast<float4*>(y)[i / 4] = d.keep(bits, reinterpret_cast<const float4*>(x)[i / 4]);
    return;
  }
  const uint32_t each[3] = {bits.first, bits.first >> 16, bits.second};
  for (int j = 0; j < 3; ++j)
    if (i + j < n) y[i + j] = d.keep(each[j], x[i + j]);
}
__global__ void __launch_bounds__(kThreads)
    drop(PackDropout d, const float* x, float* y, int64_t n, int64_t philox_blocks) {
  const int64_t first = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, step = int64_t{gridDim.x} * blockDim.x;
  const auto seed_step = d.step == nullptr ? 0 : static_cast<uint64_t>(*d.step);
  for (int64_t b = first; b < philox_blocks; b += step) {
    const int64_t i = b / 4 * 32 + b % 4 * 4;
    const bool whole = i + 20 <= n;
    float4 first_run{}, second_run{};  // both loads before the first store, which the second would wait for
    if (whole) {
      first_run = reinterpret_cast<const float4*>(x)[i / 4];
      second_run = reinterpret_cast<const float4*>(x)[i / 4 + 4];
    }
    const auto bits = d.philox(static_cast<uint64_t>(b), seed_step);
    if (whole) {
      reinterpret_cast<float4*>(y)[i / 4] = d.keep(DropoutBits{bits[0], bits[1]}, first_run);
      reinterpret_cast<float4*>(y)[i / 4 + 4] = d.keep(DropoutBits{bits[2], bits[3]}, second_run);
    } else {
      drop_four(d, {bits[0], bits[1]}, x, y, i, n);
      drop_four(d, {bits[2], bits[3]}, x, y, i + 16, n);
    }
  }
}

void prepare(const NodeSpec& node, Prepare& p) { p.state<RowDropout>(node); }
void run(const Call& c) {
  const int64_t n = c.out_numel(0), philox_blocks = (n + 31) / 32 * 4;
  if (n == 0) return;
  cuda::run(c, drop, cuda::grid(philox_blocks, kThreads), kThreads, 0, PackDropout(c.state<RowDropout>(), c),
            c.in<float>(0), c.out<float>(0), n, philox_blocks);
}

}  // namespace

void register_dropout_cuda(Registry& r) {
  for (const char* op : {"dropout", "dropout_grad"})
    r.add_kernel(
        op,
        {.name = "philox", .device = Device::CUDA, .reject = cuda::reject_all_but_f32, .prepare = prepare, .run = run});
}

}  // namespace winnow
