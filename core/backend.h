// What a kind of device offers: its memory, its queues, and copies. The CPU's is built in; a program that has a GPU
// backend registers it at its start (core/cuda/register.h). core/device.h and core/allocator.h are the callers' side.
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

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

// A device and its driver in a person's words: what `winnow doctor` tells.
struct DeviceDescription {
  Device device;
  std::string name;
  int sm = 0;  // compute capability, 90 for 9.0
  size_t memory = 0, free_memory = 0;
  std::string problem;  // why it cannot be used, or ""
};
struct BackendDescription {
  std::string toolkit;                                       // "13.0": what this program was built with
  std::vector<int> architectures;                            // compute capabilities that its kernels were compiled for
  std::string driver, driver_cuda;                           // "580.65.06" or ""; the newest CUDA it knows, or ""
  std::vector<std::pair<std::string, std::string>> runtime;  // libraries and their versions
  int error = 0;                                             // the driver's answer when it was asked for devices
  std::string missing;                                       // why there is no device and what to do, or ""
  std::vector<DeviceDescription> devices;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual BackendDescription describe() { return {}; }  // asks the machine anew; never throws for what is missing
  virtual DeviceInfo info(Device device) = 0;           // DeviceError that says what is missing and what to do
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

bool has_backend(Device::Kind kind);
Backend& backend_of(Device device);  // DeviceError when this program has none
// The backend of CUDA devices. Before the first use of one, from one thread.
void register_backend(std::unique_ptr<Backend> backend);

}  // namespace winnow
