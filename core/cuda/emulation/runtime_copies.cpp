// Copies and fills of the runtime API. What CUDA promises about the host side of a copy (Runtime API, "API
// synchronization behavior") is kept to the letter: a pageable source is read before the call returns, a page-locked
// one when the stream gets there.
#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <string>

#include "core/cuda/emulation/api_lock.h"
#include "core/cuda/emulation/device.h"
#include "core/cuda/emulation/device_memory.h"
#include "core/cuda/emulation/graph.h"
#include "core/cuda/emulation/host_memory.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/race_checker.h"
#include "core/cuda/emulation/stream.h"
#include "core/cuda/emulation/stream_queue.h"
#include "core/cuda/emulation/traffic.h"

using namespace winnow::emulation;

namespace {

// A rectangle of rows; height 1 is a plain copy.
struct Copy {
  void* to;
  std::size_t to_pitch;
  const void* from;
  std::size_t from_pitch;
  std::size_t width, height;

  std::size_t to_bytes() const { return (height - 1) * to_pitch + width; }
  std::size_t from_bytes() const { return (height - 1) * from_pitch + width; }
  bool to_device() const { return device_of(to) >= 0; }
  bool from_device() const { return device_of(from) >= 0; }
  bool in_range() const {
    return (!to_device() || device_range(to, to_bytes())) && (!from_device() || device_range(from, from_bytes()));
  }
};

void run_copy(const Copy& c) {
  if (!c.in_range()) {
    const auto bad =
        reinterpret_cast<std::uintptr_t>(c.to_device() && !device_range(c.to, c.to_bytes()) ? c.to : c.from);
    report("copy-range", "a copy found its memory gone when its turn came: " + describe_address(bad));
    set_sticky_error(c.to_device() ? device_of(c.to) : device_of(c.from), cudaErrorIllegalAddress);
    return;
  }
  const unsigned devices =
      (c.to_device() ? 1u << device_of(c.to) : 0) | (c.from_device() ? 1u << device_of(c.from) : 0);
  const AccessScope open(devices);
  count_copy_traffic(c.from_device() ? c.width * c.height : 0, c.to_device() ? c.width * c.height : 0);
  for (std::size_t row = 0; row < c.height; ++row) {
    char* to = static_cast<char*>(c.to) + row * c.to_pitch;
    std::memmove(to, static_cast<const char*>(c.from) + row * c.from_pitch, c.width);
    if (c.to_device()) mark_written(to, c.width);
  }
}

cudaError_t check_copy(const Copy& c, cudaMemcpyKind kind) {
  bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind == cudaMemcpyDefault) {
    to_device = c.to_device();
    from_device = c.from_device();
  }
  if (to_device != c.to_device() || from_device != c.from_device()) {
    report("copy-kind", fmt::format("copy of kind {} from {} memory to {} memory", static_cast<int>(kind),
                                    c.from_device() ? "device" : "host", c.to_device() ? "device" : "host"));
    return cudaErrorInvalidValue;
  }
  const auto pending = [](const void* p, bool device) {  // allocated earlier in some stream: checked when it runs
    return device && check_range(reinterpret_cast<std::uintptr_t>(p), 1) == Validity::Pending;
  };
  if (c.in_range() || pending(c.to, to_device) || pending(c.from, from_device)) return cudaSuccess;
  report("copy-range", fmt::format("copy of {} bytes outside its block: to {}, from {}", c.width * c.height,
                                   describe_address(reinterpret_cast<std::uintptr_t>(c.to)),
                                   describe_address(reinterpret_cast<std::uintptr_t>(c.from))));
  return cudaErrorInvalidValue;
}

cudaError_t copy_async(const Copy& c, cudaMemcpyKind kind, cudaStream_t stream) {
  ApiLock lock;
  if (const cudaError_t error = check_driver(); error != cudaSuccess) return set_error(error);
  const auto queue = queue_of(stream);
  if (!queue) return set_error(cudaErrorInvalidResourceHandle);
  if (c.width == 0 || c.height == 0) return cudaSuccess;
  if (const cudaError_t error = check_copy(c, kind); error != cudaSuccess) return set_error(error);
  const bool pageable_source = !c.from_device() && !is_pinned(c.from, c.from_bytes());
  const bool pageable_target = !c.to_device() && !is_pinned(c.to, c.to_bytes());
  if (pageable_source || pageable_target)  // a graph would read it at each launch, long after this call
    if (const cudaError_t error = refuse_capturing(*queue, "copy of pageable host memory"); error != cudaSuccess)
      return set_error(error);
  if (pageable_source) {
    auto staged = std::make_shared<std::string>(static_cast<const char*>(c.from), c.from_bytes());
    return enqueue(stream, "copy", [c, staged] {
      Copy from_staged = c;
      from_staged.from = staged->data();
      run_copy(from_staged);
    });
  }
  const cudaError_t error = enqueue(stream, "copy", [c] { run_copy(c); });
  if (pageable_target) drain(*queue);  // back only when it is done
  return error != cudaSuccess ? error : set_error(sticky_error(queue->device));
}

cudaError_t copy_now(const Copy& c, cudaMemcpyKind kind) {
  ApiLock lock;
  if (const cudaError_t error = refuse_in_capture("cudaMemcpy"); error != cudaSuccess) return set_error(error);
  if (const cudaError_t error = copy_async(c, kind, nullptr); error != cudaSuccess) return error;
  if (device_of(c.to) >= 0 && device_of(c.from) >= 0) return cudaSuccess;  // the host does not wait for these
  return cudaStreamSynchronize(nullptr);
}

Copy plain(void* to, const void* from, std::size_t bytes) { return {to, bytes, from, bytes, bytes, 1}; }

cudaError_t fill_async(void* to, std::size_t pitch, int value, std::size_t width, std::size_t height,
                       cudaStream_t stream) {
  ApiLock lock;
  if (width == 0 || height == 0) return cudaSuccess;
  const std::size_t bytes = (height - 1) * pitch + width;
  const Validity validity = check_range(reinterpret_cast<std::uintptr_t>(to), bytes);
  if (device_of(to) < 0 || (validity != Validity::Ok && validity != Validity::Pending)) {
    report("copy-range",
           fmt::format("fill of {} bytes: {}", bytes, describe_address(reinterpret_cast<std::uintptr_t>(to))));
    return set_error(cudaErrorInvalidValue);
  }
  return enqueue(stream, "fill", [=] {
    if (!device_range(to, bytes)) {
      report("copy-range", "a fill found its memory gone when its turn came");
      set_sticky_error(device_of(to), cudaErrorIllegalAddress);
      return;
    }
    const AccessScope open(1u << device_of(to));
    count_copy_traffic(0, width * height);
    for (std::size_t row = 0; row < height; ++row) {
      char* line = static_cast<char*>(to) + row * pitch;
      std::memset(line, value, width);
      mark_written(line, width);
    }
  });
}

}  // namespace

extern "C" {

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return copy_async(plain(to, from, bytes), kind, stream);
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return copy_now(plain(to, from, bytes), kind);
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  if (width > to_pitch || width > from_pitch) return set_error(cudaErrorInvalidPitchValue);
  return copy_async({to, to_pitch, from, from_pitch, width, height}, kind, stream);
}
cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, std::size_t bytes,
                                cudaStream_t stream) {
  ApiLock lock;
  if (bytes && (device_of(to) != to_device || device_of(from) != from_device)) {
    report("copy-kind", fmt::format("peer copy from device {} to device {} of pointers on devices {} and {}",
                                    from_device, to_device, device_of(from), device_of(to)));
    return set_error(cudaErrorInvalidValue);
  }
  return copy_async(plain(to, from, bytes), cudaMemcpyDeviceToDevice, stream);
}
cudaError_t cudaMemcpyPeer(void* to, int to_device, const void* from, int from_device, std::size_t bytes) {
  ApiLock lock;
  if (const cudaError_t error = cudaMemcpyPeerAsync(to, to_device, from, from_device, bytes, nullptr);
      error != cudaSuccess)
    return error;
  return cudaStreamSynchronize(nullptr);
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  return fill_async(to, bytes, value, bytes, 1, stream);
}
cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
  ApiLock lock;
  if (const cudaError_t error = refuse_in_capture("cudaMemset"); error != cudaSuccess) return set_error(error);
  return cudaMemsetAsync(to, value, bytes, nullptr);
}
cudaError_t cudaMemset2DAsync(void* to, std::size_t pitch, int value, std::size_t width, std::size_t height,
                              cudaStream_t stream) {
  return fill_async(to, pitch, value, width, height, stream);
}
}
