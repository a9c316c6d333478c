#include <algorithm>

#include "core/cuda/bf16.h"
#include "core/cuda/kernel.h"
#include "ops/detail/convert.h"

namespace winnow {
namespace {

using namespace detail;

template <class To, class From>
__device__ To convert(From x) {
  if constexpr (std::is_same_v<From, To>) {
    return x;
  } else if constexpr (std::is_same_v<From, bf16>) {
    return converted<To>(cuda::to_float(x));
  } else if constexpr (std::is_same_v<To, bf16>) {
    return cuda::from_float<bf16>(converted<float>(x));
  } else {
    return converted<To>(x);
  }
}

template <class To, class From>
__global__ void __launch_bounds__(256) convert_elements(int64_t n, bool aligned, const From* x, To* y) {
  constexpr int kWidth = std::max(sizeof(To), sizeof(From)) == 8 ? 2 : 4;
  const int64_t start = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, step = int64_t{gridDim.x} * blockDim.x;
  const int64_t vectors = aligned ? n / kWidth : 0;
  for (int64_t i = start; i < vectors; i += step) {
    const auto from = cuda::load_vector<kWidth>(x + i * kWidth);
    cuda::Vector<To, kWidth> to;
    for (int j = 0; j < kWidth; ++j) to.v[j] = convert<To>(from.v[j]);
    cuda::store_vector(y + i * kWidth, to);
  }
  if (!aligned)
    for (int64_t i = start; i < n; i += step) y[i] = convert<To>(x[i]);
  else if (start == 0)  // the few that are left
    for (int64_t i = vectors * kWidth; i < n; ++i) y[i] = convert<To>(x[i]);
}

void run(const Call& c) {
  const int64_t n = c.out_numel(0);
  if (n == 0) return;
  visit_convertible(c.in_spec(0).dtype, [&]<class From> {
    visit_convertible(c.out_spec(0).dtype, [&]<class To> {
      const bool aligned = cuda::is_aligned(c.inputs[0], 16) && cuda::is_aligned(c.outputs[0], 16);
      cuda::run(c, convert_elements<To, From>, cuda::grid(n / 2 + 1, 256), 256, 0, n, aligned, c.in<From>(0),
                c.out<To>(0));
    });
  });
}

}  // namespace

void register_cast_cuda(Registry& r) { r.add_kernel("cast", {.name = "vectors", .device = Device::CUDA, .run = run}); }

}  // namespace winnow
