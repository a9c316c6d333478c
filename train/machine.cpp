#include "train/machine.h"

#include "core/device.h"

namespace winnow {

std::string version() { return WINNOW_VERSION; }

std::string instruction_set() {
  const DeviceInfo cpu = device_info({});
  return cpu.avx512_bf16 ? "AVX-512 with bf16" : cpu.avx512 ? "AVX-512" : "AVX2";
}

}  // namespace winnow
