#include "core/cuda/emulation/device.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "core/cuda/emulation/api_lock.h"
#include "core/cuda/emulation/block.h"
#include "core/cuda/emulation/device_memory.h"
#include "core/cuda/emulation/graph.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/race_checker.h"
#include "core/cuda/emulation/stream_queue.h"

namespace winnow::emulation {

namespace {

thread_local int selected = 0;
thread_local cudaError_t last_error = cudaSuccess;
std::array<cudaError_t, kMaxDevices> sticky{};
std::array<unsigned, kMaxDevices> peers{};

bool valid_device(int device) { return device >= 0 && device < options().devices; }

struct Attribute {
  cudaDeviceAttr name;
  int value;
};
// An H100's values where a kernel's choice depends on them; cudaDeviceProp below says the same.
constexpr Attribute kAttributes[] = {
    {cudaDevAttrMaxThreadsPerBlock, 1024},
    {cudaDevAttrMaxBlockDimX, 1024},
    {cudaDevAttrMaxBlockDimY, 1024},
    {cudaDevAttrMaxBlockDimZ, 64},
    {cudaDevAttrMaxGridDimX, 0x7fffffff},
    {cudaDevAttrMaxGridDimY, 65535},
    {cudaDevAttrMaxGridDimZ, 65535},
    {cudaDevAttrMaxSharedMemoryPerBlock, static_cast<int>(kSharedPerBlock)},
    {cudaDevAttrMaxSharedMemoryPerBlockOptin, static_cast<int>(kSharedPerBlockOptIn)},
    {cudaDevAttrMaxSharedMemoryPerMultiprocessor, 228 << 10},
    {cudaDevAttrReservedSharedMemoryPerBlock, 1 << 10},
    {cudaDevAttrWarpSize, 32},
    {cudaDevAttrMaxRegistersPerBlock, 65536},
    {cudaDevAttrMaxRegistersPerMultiprocessor, 65536},
    {cudaDevAttrMaxThreadsPerMultiProcessor, 2048},
    {cudaDevAttrMaxBlocksPerMultiprocessor, 32},
    {cudaDevAttrMultiProcessorCount, kSmCount},
    {cudaDevAttrComputeCapabilityMajor, kSmMajor},
    {cudaDevAttrComputeCapabilityMinor, kSmMinor},
    {cudaDevAttrL2CacheSize, 50 << 20},
    {cudaDevAttrGlobalMemoryBusWidth, 5120},
    {cudaDevAttrMemoryClockRate, 2619000},
    {cudaDevAttrClockRate, 1980000},
    {cudaDevAttrAsyncEngineCount, 3},
    {cudaDevAttrConcurrentKernels, 1},
    {cudaDevAttrMemoryPoolsSupported, 1},
    {cudaDevAttrUnifiedAddressing, 1},
    {cudaDevAttrCooperativeLaunch, 0},  // blocks run one after another
};

}  // namespace

int current_device() { return selected; }
unsigned accessible_devices(int device) { return 1u << device | peers[static_cast<std::size_t>(device)]; }

cudaError_t set_error(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}
cudaError_t sticky_error(int device) { return device < 0 ? cudaSuccess : sticky[static_cast<std::size_t>(device)]; }
void set_sticky_error(int device, cudaError_t error) { sticky[static_cast<std::size_t>(device)] = error; }
void clear_errors() {
  sticky.fill(cudaSuccess);
  last_error = cudaSuccess;
}
cudaError_t check_driver() {
  switch (options().driver) {
    case Driver::Present: break;
    case Driver::Insufficient:
    case Driver::Old: return cudaErrorInsufficientDriver;
    case Driver::NoDevice: return cudaErrorNoDevice;
  }
  return cudaSuccess;
}

void reset() {
  ApiLock lock;
  discard_all_work();
  clear_errors();
  clear_reports();
  forget_findings();
  peers.fill(0);
  selected = 0;
  random_bits().seed(options().seed);
}

}  // namespace winnow::emulation

using namespace winnow::emulation;

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  ApiLock lock;
  if (const cudaError_t error = check_driver(); error != cudaSuccess) return set_error(error);  // count is untouched
  *count = options().devices;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  const Driver driver = options().driver;
  *version = driver == Driver::Insufficient ? 0 : driver == Driver::Old ? CUDART_VERSION - 1000 : CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  ApiLock lock;
  if (const cudaError_t error = check_driver(); error != cudaSuccess) return set_error(error);
  if (!valid_device(device)) return set_error(cudaErrorInvalidDevice);
  selected = device;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  ApiLock lock;
  if (const cudaError_t error = check_driver(); error != cudaSuccess) return set_error(error);
  *device = selected;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  ApiLock lock;
  if (const cudaError_t error = check_driver(); error != cudaSuccess) return set_error(error);
  if (!valid_device(device)) return set_error(cudaErrorInvalidDevice);
  for (const Attribute& known : kAttributes)
    if (known.name == attribute) {
      *value = known.value;
      return cudaSuccess;
    }
  report("not-modelled", fmt::format("device attribute {}", static_cast<int>(attribute)));
  return set_error(cudaErrorInvalidValue);
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  ApiLock lock;
  if (const cudaError_t error = check_driver(); error != cudaSuccess) return set_error(error);
  if (!valid_device(device)) return set_error(cudaErrorInvalidDevice);
  cudaDeviceProp p{};
  std::strncpy(p.name, "Emulated device", sizeof p.name - 1);
  p.totalGlobalMem = kDeviceBytes;
  p.sharedMemPerBlock = kSharedPerBlock;
  p.sharedMemPerBlockOptin = kSharedPerBlockOptIn;
  p.sharedMemPerMultiprocessor = 228 << 10;
  p.reservedSharedMemPerBlock = 1 << 10;
  p.regsPerBlock = p.regsPerMultiprocessor = 65536;
  p.warpSize = 32;
  p.maxThreadsPerBlock = 1024;
  p.maxThreadsPerMultiProcessor = 2048;
  p.maxBlocksPerMultiProcessor = 32;
  p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024;
  p.maxThreadsDim[2] = 64;
  p.maxGridSize[0] = 0x7fffffff;
  p.maxGridSize[1] = p.maxGridSize[2] = 65535;
  p.major = kSmMajor;
  p.minor = kSmMinor;
  p.multiProcessorCount = kSmCount;
  p.l2CacheSize = 50 << 20;
  p.memoryBusWidth = 5120;
  p.asyncEngineCount = 3;
  p.concurrentKernels = p.unifiedAddressing = p.memoryPoolsSupported = 1;
  p.pciBusID = device + 1;
  *properties = p;
  return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  ApiLock lock;
  if (!valid_device(device) || !valid_device(peer)) return set_error(cudaErrorInvalidDevice);
  *can = device != peer;
  return cudaSuccess;
}
cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  ApiLock lock;
  if (!valid_device(peer) || peer == selected) return set_error(cudaErrorInvalidDevice);
  if (flags != 0) return set_error(cudaErrorInvalidValue);
  unsigned& mine = peers[static_cast<std::size_t>(selected)];
  if (mine >> peer & 1) return set_error(cudaErrorPeerAccessAlreadyEnabled);
  mine |= 1u << peer;
  return cudaSuccess;
}
cudaError_t cudaDeviceDisablePeerAccess(int peer) {
  ApiLock lock;
  if (!valid_device(peer)) return set_error(cudaErrorInvalidDevice);
  unsigned& mine = peers[static_cast<std::size_t>(selected)];
  if (!(mine >> peer & 1)) return set_error(cudaErrorPeerAccessNotEnabled);
  mine &= ~(1u << peer);
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  ApiLock lock;
  if (const cudaError_t error = check_driver(); error != cudaSuccess) return set_error(error);
  if (const cudaError_t error = refuse_in_capture("cudaDeviceSynchronize"); error != cudaSuccess)
    return set_error(error);
  drain_device(selected);
  return set_error(sticky_error(selected));
}

cudaError_t cudaGetLastError() {
  ApiLock lock;
  const cudaError_t error = sticky_error(selected) != cudaSuccess ? sticky_error(selected) : last_error;
  last_error = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() {
  ApiLock lock;
  return sticky_error(selected) != cudaSuccess ? sticky_error(selected) : last_error;
}

#define WN_ERRORS(X)                                                                              \
  X(cudaSuccess, "no error")                                                                      \
  X(cudaErrorInvalidValue, "invalid argument")                                                    \
  X(cudaErrorMemoryAllocation, "out of memory")                                                   \
  X(cudaErrorInvalidConfiguration, "invalid configuration argument")                              \
  X(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version")  \
  X(cudaErrorNoDevice, "no CUDA-capable device is detected")                                      \
  X(cudaErrorInvalidDevice, "invalid device ordinal")                                             \
  X(cudaErrorInvalidResourceHandle, "invalid resource handle")                                    \
  X(cudaErrorNotReady, "device not ready")                                                        \
  X(cudaErrorIllegalAddress, "an illegal memory access was encountered")                          \
  X(cudaErrorLaunchFailure, "unspecified launch failure")                                         \
  X(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing")        \
  X(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture") \
  X(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work")
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
#define WN_CASE(code, text) \
  case code: return text;
    WN_ERRORS(WN_CASE)
#undef WN_CASE
    default: return "unknown error";
  }
}
const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define WN_CASE(code, text) \
  case code: return #code;
    WN_ERRORS(WN_CASE)
#undef WN_CASE
    default: return "unknown";
  }
}
}
