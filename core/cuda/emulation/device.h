// The emulated devices: which one a host thread uses, what they say about themselves, and the errors they are in.
#pragma once
#include <cuda_runtime_api.h>

#include <string>

namespace winnow::emulation {

int current_device();                     // of this host thread
unsigned accessible_devices(int device);  // a bit each: itself and the peers that were enabled

// The calling host thread's last error (cudaGetLastError); returns it.
cudaError_t set_error(cudaError_t error);
// What a kernel's failure leaves: every later call on the device fails with it, as until the end of a real process.
cudaError_t sticky_error(int device);
void set_sticky_error(int device, cudaError_t error);
void clear_errors();

// cudaSuccess, or what a machine without driver or device answers (Options::driver).
cudaError_t check_driver();

inline constexpr std::size_t kSharedPerBlock = 48 << 10, kSharedPerBlockOptIn = 227 << 10;
inline constexpr int kSmCount = 132, kSmMajor = 9, kSmMinor = 0;

}  // namespace winnow::emulation
