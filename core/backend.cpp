#include "core/backend.h"

#include <cstring>

#include "core/error.h"
#include "core/parallel.h"

namespace winnow {
namespace {

class CpuStream final : public Stream {
 public:
  Device device() const override { return {}; }
  void synchronize() override {}
};
class CpuEvent final : public Event {
 public:
  void record(Stream&) override {}
  void wait(Stream&) override {}
  void synchronize() override {}
};

class CpuBackend final : public Backend {
 public:
  DeviceInfo info(Device) override {
    DeviceInfo info;
    info.threads = num_threads();
    info.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
    info.avx512_bf16 = info.avx512 && __builtin_cpu_supports("avx512bf16");
    return info;
  }
  Allocator& allocator(Device) override { return host_allocator(); }
  Allocator& pinned_allocator(Device) override { return host_allocator(); }
  std::unique_ptr<Stream> make_stream(Device) override { return std::make_unique<CpuStream>(); }
  std::unique_ptr<Event> make_event(Device) override { return std::make_unique<CpuEvent>(); }
  void copy(void* to, const void* from, size_t bytes, Stream&) override { std::memcpy(to, from, bytes); }
  std::unique_ptr<Recording> record(Stream&, const std::function<void()>&) override { return nullptr; }
  void copy_now(void* to, const void* from, size_t bytes, Device) override { std::memcpy(to, from, bytes); }
  void fill_now(void* data, unsigned char byte, size_t bytes, Device) override { std::memset(data, byte, bytes); }
};

std::unique_ptr<Backend>& cuda_backend() {
  static std::unique_ptr<Backend> backend;
  return backend;
}

}  // namespace

bool has_backend(Device::Kind kind) { return kind == Device::CPU || cuda_backend() != nullptr; }
Backend& backend_of(Device device) {
  static CpuBackend cpu;
  if (device.kind == Device::CPU) return cpu;
  WN_CHECK(has_backend(device.kind), DeviceError,
           "{} is not available: this program was built without a GPU backend (docs/gpu.md); use --device cpu",
           device.str());
  return *cuda_backend();
}

void register_backend(std::unique_ptr<Backend> backend) { cuda_backend() = std::move(backend); }

namespace {
Device default_is;
}
Device default_device() { return default_is; }
void set_default_device(Device device) {
  device_info(device);
  default_is = device;
}

DeviceInfo device_info(Device device) { return backend_of(device).info(device); }
Allocator& device_allocator(Device device) { return backend_of(device).allocator(device); }
std::unique_ptr<Stream> make_stream(Device device) { return backend_of(device).make_stream(device); }
std::unique_ptr<Event> make_event(Device device) { return backend_of(device).make_event(device); }

}  // namespace winnow
