// Which device the calling thread speaks to.
#pragma once
#include "core/cuda/stream.h"

namespace winnow::cuda {

// The calling thread's current device while it lives.
class OnDevice {
 public:
  explicit OnDevice(Device device) {
    check(cudaGetDevice(&before_), "cudaGetDevice");
    if (before_ != device.index) check(cudaSetDevice(device.index), "cudaSetDevice");
    changed_ = before_ != device.index;
  }
  ~OnDevice() {
    if (changed_) (void)cudaSetDevice(before_);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  int before_ = 0;
  bool changed_ = false;
};

}  // namespace winnow::cuda
