#include "tests/emulation/kernels/kernels.h"

namespace winnow::kernels {

__global__ void __launch_bounds__(256)
    embedding_bag_atomic_kernel(const int* __restrict__ ids, const int* __restrict__ bags,
                                const float* __restrict__ gradient, float* __restrict__ table_gradient, unsigned count,
                                unsigned width, int rows) {
  const unsigned vectors = width / 4, thread = blockIdx.x * blockDim.x + threadIdx.x;
  if (thread >= count * vectors) return;
  const unsigned k = thread / vectors, column = thread % vectors * 4;
  const int id = __ldg(ids + k);
  if (id < 0 || id >= rows) return;
  const auto* from = gradient + static_cast<size_t>(__ldg(bags + k)) * width + column;
  const float4 g = *reinterpret_cast<const float4*>(from);
  float* to = table_gradient + static_cast<size_t>(id) * width + column;
  atomicAdd(to, g.x);
  atomicAdd(to + 1, g.y);
  atomicAdd(to + 2, g.z);
  atomicAdd(to + 3, g.w);
}

__global__ void __launch_bounds__(128)
    embedding_bag_sorted_kernel(const int* __restrict__ rows, const int* __restrict__ segments,
                                const int* __restrict__ bags, const float* __restrict__ gradient,
                                float* __restrict__ table_gradient, unsigned distinct, unsigned width) {
  const unsigned segment = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
  if (segment >= distinct) return;
  float* to = table_gradient + static_cast<size_t>(rows[segment]) * width;
  const int begin = segments[segment], end = segments[segment + 1];
  for (unsigned column = lane; column < width; column += 32) {
    float sum = 0.f;
    for (int k = begin; k < end; ++k) sum += gradient[static_cast<size_t>(bags[k]) * width + column];
    to[column] += sum;
  }
}

cudaError_t embedding_bag_atomic(const int* ids, const int* bags, const float* gradient, float* table_gradient,
                                 int count, int width, int rows, cudaStream_t stream) {
  const auto threads = static_cast<unsigned>(count * width / 4);
  return cuda::launch(embedding_bag_atomic_kernel, dim3((threads + 255) / 256), dim3(256), 0, stream, ids, bags,
                      gradient, table_gradient, unsigned(count), unsigned(width), rows);
}
cudaError_t embedding_bag_sorted(const int* rows, const int* segments, const int* bags, const float* gradient,
                                 float* table_gradient, int distinct, int width, cudaStream_t stream) {
  const auto threads = static_cast<unsigned>(distinct * 32);
  return cuda::launch(embedding_bag_sorted_kernel, dim3((threads + 127) / 128), dim3(128), 0, stream, rows, segments,
                      bags, gradient, table_gradient, unsigned(distinct), unsigned(width));
}

}  // namespace winnow::kernels
