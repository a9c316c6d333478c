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

// Elements of a thread: 16 bytes of the narrower type, of the wider one as many as that takes; two of 8 bytes, more
// spill registers.
template <class To, class From>
constexpr int kCastWidth = std::max(sizeof(To), sizeof(From)) == 8
                               ? 2
                               : static_cast<int>(std::min<size_t>(16 / std::min(sizeof(To), sizeof(From)), 8));
template <class T, int kWidth>
constexpr int kPiece = std::min(kWidth, static_cast<int>(16 / sizeof(T)));

template <class To, class From>
__global__ void __launch_bounds__(256) convert_elements(int64_t n, bool aligned, const From* x, To* y) {
  constexpr int kWidth = kCastWidth<To, From>, kFrom = kPiece<From, kWidth>, kTo = kPiece<To, kWidth>;
  const int64_t start = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, step = int64_t{gridDim.x} * blockDim.x;
  const int64_t vectors = aligned ? n / kWidth : 0;
  for (int64_t i = start; i < vectors; i += step) {
    cuda::Vector<From, kFrom> from[kWidth / kFrom];
    for (int k = 0; k < kWidth / kFrom; ++k) from[k] = cuda::load_vector<kFrom>(x + i * kWidth + k * kFrom);
    cuda::Vector<To, kTo> to[kWidth / kTo];
    for (int j = 0; j < kWidth; ++j) to[j / kTo].v[j % kTo] = convert<To>(from[j / kFrom].v[j % kFrom]);
    for (int k = 0; k < kWidth / kTo; ++k) cuda::store_vector(y + i * kWidth + k * kTo, to[k]);
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
      cuda::run(c, convert_elements<To, From>, cuda::grid(n / kCastWidth<To, From> + 1, 256), 256, 0, n, aligned,
                c.in<From>(0), c.out<To>(0));
    });
  });
}

}  // namespace

void register_cast_cuda(Registry& r) { r.add_kernel("cast", {.name = "vectors", .device = Device::CUDA, .run = run}); }

}  // namespace winnow
