// Work that host calls queue on the emulated streams: what kernels' launches and the library stand-ins use.
#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>

namespace winnow::emulation {

// The launch's own errors are returned (dimensions, shared memory, a stream of another device); the body runs later.
cudaError_t enqueue_launch(const void* kernel, dim3 grid, dim3 block, std::size_t dynamic_shared, cudaStream_t stream,
                           std::function<void()> body);
// `run` is called when the stream gets to it, possibly more than once when the stream is being captured.
cudaError_t enqueue(cudaStream_t stream, const char* name, std::function<void()> run);

bool valid_stream(cudaStream_t stream);  // the null stream is
int device_of_stream(cudaStream_t stream);

}  // namespace winnow::emulation
