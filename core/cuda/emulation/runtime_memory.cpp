// Allocation of the runtime API: device memory, stream-ordered pools, page-locked host memory.
#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <map>
#include <memory>

#include "core/cuda/emulation/api_lock.h"
#include "core/cuda/emulation/device.h"
#include "core/cuda/emulation/device_memory.h"
#include "core/cuda/emulation/graph.h"
#include "core/cuda/emulation/handles.h"
#include "core/cuda/emulation/host_memory.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/stream.h"
#include "core/cuda/emulation/stream_queue.h"

// The default pool of a device. Freed memory goes back at once: only the counters know a pool.
struct CUmemPoolHandle_st {
  int device = 0;
  std::uint64_t release_threshold = 0, used = 0, high = 0;
};

using namespace winnow::emulation;

namespace {

struct HostBlock {
  std::size_t bytes;
  bool registered;
};
auto& pinned = *new std::map<std::uintptr_t, HostBlock>;
auto& pool_of_block = *new std::map<const void*, cudaMemPool_t>;

cudaMemPool_t default_pool(int device) {
  static auto& pools = *new std::array<cudaMemPool_t, kMaxDevices>{};
  auto& pool = pools[static_cast<std::size_t>(device)];
  if (!pool) pool = make_handle<CUmemPoolHandle_st>(device);
  return pool;
}

bool made_to_fail() {
  ++counters().allocations;
  return options().fail_allocation > 0 && --options().fail_allocation == 0;
}

cudaError_t allocate(void** data, std::size_t bytes, int device, bool pending) {
  if (!data) return cudaErrorInvalidValue;
  if (const cudaError_t error = check_driver(); error != cudaSuccess) return error;
  if (made_to_fail()) return cudaErrorMemoryAllocation;
  *data = bytes ? new_block(device, bytes, pending) : nullptr;
  return bytes && !*data ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t allocate_ordered(void** data, std::size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
  const auto queue = queue_of(stream);
  if (!queue) return cudaErrorInvalidResourceHandle;
  if (const cudaError_t error = refuse_capturing(*queue, "stream-ordered allocation (not modelled)");
      error != cudaSuccess)
    return error;
  if (const cudaError_t error = allocate(data, bytes, pool->device, true); error != cudaSuccess || !*data) return error;
  pool_of_block[*data] = pool;
  pool->used += bytes;
  pool->high = std::max(pool->high, pool->used);
  return enqueue(stream, "allocation", [data = *data] { activate_block(data); });
}

cudaError_t allocate_host(void** data, std::size_t bytes) {
  ApiLock lock;
  if (const cudaError_t error = check_driver(); error != cudaSuccess) return set_error(error);
  if (const cudaError_t error = refuse_in_capture("page-locked allocation"); error != cudaSuccess)
    return set_error(error);
  if (made_to_fail()) return set_error(cudaErrorMemoryAllocation);
  *data = bytes ? std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096) : nullptr;
  if (*data) pinned[reinterpret_cast<std::uintptr_t>(*data)] = {bytes, false};
  return cudaSuccess;
}

}  // namespace

namespace winnow::emulation {
bool is_pinned(const void* address, std::size_t bytes) {
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  auto after = pinned.upper_bound(begin);
  if (after == pinned.begin()) return false;
  const auto& [start, block] = *std::prev(after);
  return begin + bytes <= start + block.bytes;
}
}  // namespace winnow::emulation

extern "C" {

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  ApiLock lock;
  if (const cudaError_t error = refuse_in_capture("cudaMalloc"); error != cudaSuccess) return set_error(error);
  return set_error(allocate(data, bytes, current_device(), false));
}
// Waits for the device, as the real one does.
cudaError_t cudaFree(void* data) {
  ApiLock lock;
  if (!data) return cudaSuccess;
  if (const cudaError_t error = refuse_in_capture("cudaFree"); error != cudaSuccess) return set_error(error);
  if (const int device = device_of(data); device >= 0) drain_device(device);
  if (const auto at = pool_of_block.find(data); at != pool_of_block.end()) {
    at->second->used -= block_bytes(data);
    pool_of_block.erase(at);
  }
  return free_block(data) ? cudaSuccess : set_error(cudaErrorInvalidValue);
}

cudaError_t cudaMallocAsync(void** data, std::size_t bytes, cudaStream_t stream) {
  ApiLock lock;
  const int device = device_of_stream(stream);
  if (device < 0) return set_error(cudaErrorInvalidResourceHandle);
  return set_error(allocate_ordered(data, bytes, default_pool(device), stream));
}
cudaError_t cudaMallocFromPoolAsync(void** data, std::size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
  ApiLock lock;
  if (!known(pool)) return set_error(cudaErrorInvalidValue);
  return set_error(allocate_ordered(data, bytes, pool, stream));
}
cudaError_t cudaFreeAsync(void* data, cudaStream_t stream) {
  ApiLock lock;
  const auto queue = queue_of(stream);
  if (!queue) return set_error(cudaErrorInvalidResourceHandle);
  if (!data) return cudaSuccess;
  if (!is_block(data)) {
    report("bad-free",
           fmt::format("cudaFreeAsync({}): {}", data, describe_address(reinterpret_cast<std::uintptr_t>(data))));
    return set_error(cudaErrorInvalidValue);
  }
  Operation operation{"free",
                      [data, bytes = block_bytes(data)] {
                        if (const auto at = pool_of_block.find(data); at != pool_of_block.end()) {
                          at->second->used -= bytes;
                          pool_of_block.erase(at);
                        }
                        free_block(data);
                      },
                      {}};
  operation.after_errors = true;
  return set_error(push(*queue, std::move(operation)));
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  ApiLock lock;
  if (device < 0 || device >= options().devices) return set_error(cudaErrorInvalidDevice);
  *pool = default_pool(device);
  return cudaSuccess;
}
cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int device) { return cudaDeviceGetDefaultMemPool(pool, device); }
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  ApiLock lock;
  if (!known(pool) || attribute != cudaMemPoolAttrReleaseThreshold) return set_error(cudaErrorInvalidValue);
  pool->release_threshold = *static_cast<const std::uint64_t*>(value);
  return cudaSuccess;
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  ApiLock lock;
  if (!known(pool)) return set_error(cudaErrorInvalidValue);
  auto& out = *static_cast<std::uint64_t*>(value);
  switch (attribute) {
    case cudaMemPoolAttrReleaseThreshold: out = pool->release_threshold; return cudaSuccess;
    case cudaMemPoolAttrReservedMemCurrent:
    case cudaMemPoolAttrUsedMemCurrent: out = pool->used; return cudaSuccess;
    case cudaMemPoolAttrReservedMemHigh:
    case cudaMemPoolAttrUsedMemHigh: out = pool->high; return cudaSuccess;
    default: return set_error(cudaErrorInvalidValue);
  }
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, std::size_t) {
  ApiLock lock;
  return known(pool) ? cudaSuccess : set_error(cudaErrorInvalidValue);
}

cudaError_t cudaMallocHost(void** data, std::size_t bytes) { return allocate_host(data, bytes); }
cudaError_t cudaHostAlloc(void** data, std::size_t bytes, unsigned flags) {
  if (flags & ~(cudaHostAllocPortable | cudaHostAllocWriteCombined)) return set_error(cudaErrorNotSupported);
  return allocate_host(data, bytes);
}
cudaError_t cudaFreeHost(void* data) {
  ApiLock lock;
  if (!data) return cudaSuccess;
  const auto at = pinned.find(reinterpret_cast<std::uintptr_t>(data));
  if (at == pinned.end() || at->second.registered) {
    report("bad-free", fmt::format("cudaFreeHost({}): no page-locked allocation", data));
    return set_error(cudaErrorInvalidValue);
  }
  for (int d = 0; d < options().devices; ++d) drain_device(d);
  pinned.erase(at);
  std::free(data);
  return cudaSuccess;
}
cudaError_t cudaHostRegister(void* data, std::size_t bytes, unsigned) {
  ApiLock lock;
  if (!data || !bytes) return set_error(cudaErrorInvalidValue);
  if (is_pinned(data, 1)) return set_error(cudaErrorHostMemoryAlreadyRegistered);
  pinned[reinterpret_cast<std::uintptr_t>(data)] = {bytes, true};
  return cudaSuccess;
}
cudaError_t cudaHostUnregister(void* data) {
  ApiLock lock;
  const auto at = pinned.find(reinterpret_cast<std::uintptr_t>(data));
  if (at == pinned.end() || !at->second.registered) return set_error(cudaErrorHostMemoryNotRegistered);
  for (int d = 0; d < options().devices; ++d) drain_device(d);
  pinned.erase(at);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total) {
  ApiLock lock;
  if (const cudaError_t error = check_driver(); error != cudaSuccess) return set_error(error);
  *total = kDeviceBytes;
  *free_bytes = kDeviceBytes - live_bytes(current_device());
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  ApiLock lock;
  *attributes = {};
  attributes->device = device_of(address);
  attributes->type = attributes->device >= 0 ? cudaMemoryTypeDevice
                     : is_pinned(address, 1) ? cudaMemoryTypeHost
                                             : cudaMemoryTypeUnregistered;
  if (attributes->type == cudaMemoryTypeDevice) attributes->devicePointer = const_cast<void*>(address);
  if (attributes->type != cudaMemoryTypeDevice) attributes->hostPointer = const_cast<void*>(address);
  return cudaSuccess;
}
}
