// The CUDA backend, for programs that are linked with it (cmake/cuda.cmake).
#pragma once

namespace winnow::cuda {

// Registers the backend and every operator's CUDA kernels. At the start of the program, once. Machines without a driver
// or device start as well: the first use of a device says what is missing.
void register_backend();

}  // namespace winnow::cuda
