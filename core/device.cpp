#include "core/device.h"

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

void require_cpu(Device device) {
  WN_CHECK(device.kind == Device::CPU, DeviceError,
           "{} is not available: this build has no GPU backend; use --device cpu", device.str());
}

}  // namespace

std::string Device::str() const { return kind == CPU ? "cpu" : fmt::format("cuda:{}", index); }

Device parse_device(const std::string& text) {
  if (text == "cpu") return {};
  if (text == "cuda") return {Device::CUDA, 0};
  if (text.size() == 6 && text.starts_with("cuda:") && text[5] >= '0' && text[5] <= '9')
    return {Device::CUDA, static_cast<uint8_t>(text[5] - '0')};
  raise<ConfigError>("--device {}: expected cpu, cuda or cuda:N", text);
}

DeviceInfo device_info(Device device) {
  require_cpu(device);
  DeviceInfo info;
  info.threads = num_threads();
  info.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
  info.avx512_bf16 = info.avx512 && __builtin_cpu_supports("avx512bf16");
  return info;
}

std::unique_ptr<Stream> make_stream(Device device) {
  require_cpu(device);
  return std::make_unique<CpuStream>();
}
std::unique_ptr<Event> make_event(Device device) {
  require_cpu(device);
  return std::make_unique<CpuEvent>();
}

}  // namespace winnow
