// The runtime's streams and errors, for host code. The runtime is that of the machine or its emulation: the calls are
// the same, and so is the compiled code.
#pragma once
#include <cuda_runtime_api.h>

#include "core/device.h"
#include "core/error.h"

namespace winnow::cuda {

// OutOfMemory or DeviceError "what: cudaErrorName (text)". An error that a kernel made earlier shows at a later call.
inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  (void)cudaGetLastError();  // of this thread: the next call starts clean unless the device itself is lost
  if (error == cudaErrorMemoryAllocation) raise<OutOfMemory>("{}: the device has not enough free memory", what);
  raise<DeviceError>("{}: {} ({})", what, cudaGetErrorName(error), cudaGetErrorString(error));
}

class CudaStream final : public Stream {
 public:
  explicit CudaStream(Device device);
  ~CudaStream() override;
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;
  Device device() const override { return device_; }
  void synchronize() override;
  cudaStream_t handle() const { return handle_; }

 private:
  Device device_;
  cudaStream_t handle_ = nullptr;
};

}  // namespace winnow::cuda
