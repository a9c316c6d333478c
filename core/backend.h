// What a kind of device offers: its memory, its queues, and copies. The CPU's is built in; a program that has a GPU
// backend registers it at its start (core/cuda/register.h). core/device.h and core/allocator.h are the callers' side.
#pragma once
#include <functional>

#include "core/allocator.h"
#include "core/device.h"

namespace winnow {

inline constexpr size_t kDeviceAlignment = 256;  // of memory on other devices; kAlignment is the host's

// Work that was recorded once and is queued again as a whole, with the same operands.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void launch(Stream& stream) = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual DeviceInfo info(Device device) = 0;  // DeviceError that says what is missing and what to do
  virtual Allocator& allocator(Device device) = 0;
  virtual Allocator& pinned_allocator(Device device) = 0;  // host memory that the device copies from while it works
  virtual std::unique_ptr<Stream> make_stream(Device device) = 0;
  virtual std::unique_ptr<Event> make_event(Device device) = 0;
  // In the stream's order. The host's end must stay until the stream has done it.
  virtual void copy(void* to, const void* from, size_t bytes, Stream& stream) = 0;
  // What `work` queues on the stream is recorded instead of done. Null, and nothing called, where that is not offered.
  virtual std::unique_ptr<Recording> record(Stream& stream, const std::function<void()>& work) = 0;
  // After everything queued on `device` so far, and done when it returns.
  virtual void copy_now(void* to, const void* from, size_t bytes, Device device) = 0;
  virtual void fill_now(void* data, unsigned char byte, size_t bytes, Device device) = 0;
};

Backend& backend_of(Device device);  // DeviceError when this program has none
// The backend of CUDA devices. Before the first use of one, from one thread.
void register_backend(std::unique_ptr<Backend> backend);

}  // namespace winnow
