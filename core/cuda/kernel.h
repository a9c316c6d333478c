// What a .cu file of ops/ needs beside core/cuda/cuda.h: the stream of a Call, and launches whose errors name the
// operator.
//
//   void run_relu(const Call& c) {
//     cuda::run(c, relu_kernel, cuda::grid(c.out_numel(0), 256), 256, 0, c.in<float>(0), c.out<float>(0),
//     c.out_numel(0));
//   }
//   void register_relu_cuda(Registry& r) { r.add_kernel("relu", {.name = "vectors", .device = Device::CUDA, ...}); }
#pragma once
#include "core/cuda/cuda.h"
#include "core/cuda/stream.h"
#include "core/op.h"

namespace winnow::cuda {

inline cudaStream_t stream_of(const Call& call) { return static_cast<const CudaStream*>(call.stream)->handle(); }

// Blocks of `threads` for n elements, at most `most`: kernels go on by gridDim.x * blockDim.x.
inline dim3 grid(int64_t n, int64_t threads, int64_t most = 1 << 16) {
  const int64_t blocks = (n + threads - 1) / threads;
  return dim3(static_cast<unsigned>(blocks < 1 ? 1 : blocks > most ? most : blocks));
}

template <class... P, class... A>
void run(const Call& call, void (*kernel)(P...), dim3 blocks, unsigned threads, size_t shared, A&&... arguments) {
  check(launch(kernel, blocks, dim3(threads), shared, stream_of(call), std::forward<A>(arguments)...),
        call.spec->op->name);
}

// Kernels for these types only.
inline const char* reject_all_but_f32(const NodeSpec& node, const DeviceInfo&) {
  for (const TensorSpec& in : node.in)
    if (is_float(in.dtype) && in.dtype != DType::F32) return "f32 only";
  return nullptr;
}

}  // namespace winnow::cuda
