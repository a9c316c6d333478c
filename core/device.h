// Devices, and the queue of work on one of them.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

namespace winnow {

struct Device {
  enum Kind : uint8_t { CPU, CUDA } kind = CPU;
  uint8_t index = 0;
  bool operator==(const Device&) const = default;
  std::string str() const;  // "cpu", "cuda:0"
};
// Where graphs are recorded for, streams made and arenas laid out unless a device is named: a program's --device. The
// CPU until it is set, before the first graph.
Device default_device();
void set_default_device(Device device);  // DeviceError when there is no such device

Device parse_device(const std::string& text);  // ConfigError unless "cpu", "cuda" or "cuda:N"

// What kernels may ask about the machine they would run on.
struct DeviceInfo {
  Device device;
  int threads = 1;      // CPU: size of the OpenMP team
  bool avx512 = false;  // AVX-512 F, VL, BW, DQ
  bool avx512_bf16 = false;
  int sm = 0;            // CUDA: compute capability, 90 for 9.0
  bool measure = false;  // CompileOptions::measure
};
DeviceInfo device_info(Device device);  // DeviceError when there is no such device

// An ordered queue of work. On the CPU everything has run when the call returns; of other devices synchronize() also
// raises what went wrong on the way (DeviceError).
class Stream {
 public:
  virtual ~Stream() = default;
  virtual Device device() const = 0;
  virtual void synchronize() = 0;
};
// A point in a stream's order that another stream, or the host, can wait for.
class Event {
 public:
  virtual ~Event() = default;
  virtual void record(Stream& stream) = 0;
  virtual void wait(Stream& stream) = 0;  // later work of `stream` starts after the recorded point
  virtual void synchronize() = 0;
};
std::unique_ptr<Stream> make_stream(Device device = default_device());
std::unique_ptr<Event> make_event(Device device);

}  // namespace winnow
