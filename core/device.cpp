#include "core/device.h"

#include "core/error.h"

namespace winnow {

std::string Device::str() const { return kind == CPU ? "cpu" : fmt::format("cuda:{}", index); }

Device parse_device(const std::string& text) {
  if (text == "cpu") return {};
  if (text == "cuda") return {Device::CUDA, 0};
  if (text.size() == 6 && text.starts_with("cuda:") && text[5] >= '0' && text[5] <= '9')
    return {Device::CUDA, static_cast<uint8_t>(text[5] - '0')};
  raise<ConfigError>("--device {}: expected cpu, cuda or cuda:N", text);
}

}  // namespace winnow
