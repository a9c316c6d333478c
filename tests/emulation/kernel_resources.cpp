#include "tests/emulation/kernel_resources.h"

#include <cuda_occupancy.h>
#include <cuda_runtime_api.h>
#include <cxxabi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "core/cuda/emulation/source_line.h"
#include "core/error.h"

namespace winnow::kernel_page {
namespace {

namespace fs = std::filesystem;

constexpr int kWarp = 32, kRegisters = 65536;
constexpr std::size_t kKib = 1024;

std::string name_of(const std::string& symbol) {
  int status = 0;
  char* demangled = abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status);
  WN_CHECK(status == 0, DataError, "{} is no mangled name", symbol);
  const std::string name = emulation::bare_name(demangled);
  std::free(demangled);
  return name;
}

// The text between two others, or "".
std::string between(const std::string& line, const std::string& before, const std::string& after) {
  const size_t begin = line.find(before);
  if (begin == std::string::npos) return "";
  const size_t from = begin + before.size(), end = line.find(after, from);
  return end == std::string::npos ? "" : line.substr(from, end - from);
}

// The number in front of a word, or 0.
int number_before(const std::string& line, const std::string& word) {
  const size_t at = line.find(word);
  if (at == std::string::npos) return 0;
  size_t begin = at;
  while (begin > 0 && std::isdigit(static_cast<unsigned char>(line[begin - 1]))) --begin;
  return std::atoi(line.c_str() + begin);
}

std::vector<Instance> read_instances(const fs::path& path) {
  std::ifstream in(path);
  WN_CHECK(in.good(), IoError, "{} cannot be read", path.string());
  std::vector<Instance> instances;
  std::map<std::string, std::pair<int, int>> bounds;  // threads, blocks
  std::string entry;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("Compiling entry function")) {
      instances.push_back({between(line, "function '", "'"), std::atoi(between(line, "'sm_", "'").c_str())});
    } else if (line.find("bytes spill stores") != std::string::npos && !instances.empty()) {
      instances.back().spilled +=
          number_before(line, " bytes spill stores") + number_before(line, " bytes spill loads");
    } else if (line.starts_with("Used ") && !instances.empty()) {
      instances.back().registers = number_before(line, " registers");
      instances.back().shared = static_cast<std::size_t>(number_before(line, " bytes smem"));
    } else if (line.find(".entry ") != std::string::npos) {
      entry = between(line, ".entry ", "(");
    } else if (line.starts_with(".maxntid")) {
      int x = 1, y = 1, z = 1;
      WN_CHECK(std::sscanf(line.c_str(), ".maxntid %d, %d, %d", &x, &y, &z) >= 1, DataError, "{}: {}", path.string(),
               line);
      bounds[entry].first = x * y * z;
    } else if (line.starts_with(".minnctapersm")) {
      bounds[entry].second = std::atoi(line.c_str() + std::strlen(".minnctapersm"));
    }
  }
  for (Instance& i : instances) {
    WN_CHECK(i.registers > 0 && i.architecture > 0, DataError, "{}: {} has no registers or no architecture",
             path.string(), i.symbol);
    std::tie(i.threads, i.blocks) = bounds[i.symbol];
  }
  return instances;
}

cudaOccDeviceProp limits_of(int architecture) {
  cudaOccDeviceProp p;
  p.computeMajor = architecture / 10;
  p.computeMinor = architecture % 10;
  p.maxThreadsPerBlock = 1024;
  p.maxThreadsPerMultiprocessor = 2048;
  p.regsPerBlock = p.regsPerMultiprocessor = kRegisters;
  p.warpSize = kWarp;
  p.sharedMemPerBlock = 48 * kKib;
  p.sharedMemPerMultiprocessor = (architecture == 80 ? 164 : 228) * kKib;
  p.sharedMemPerBlockOptin = (architecture == 80 ? 163 : 227) * kKib;
  p.reservedSharedMemPerBlock = kKib;
  p.numSms = 1;
  return p;
}

}  // namespace

std::vector<Kernel> read_kernels(const std::string& directory) {
  std::map<std::pair<std::string, std::string>, Kernel> kernels;
  if (fs::is_directory(directory))
    for (const auto& file : fs::directory_iterator(directory)) {
      if (file.path().extension() != ".resources") continue;
      const std::string stem = file.path().stem().stem().string();
      for (const Instance& i : read_instances(file.path())) {
        const std::string name = name_of(i.symbol);
        Kernel& kernel = kernels[{stem, name}];
        kernel.file = stem;
        kernel.name = name;
        kernel.instances.push_back(i);
      }
    }
  WN_CHECK(!kernels.empty(), IoError, "{} has no *.resources: build the target winnow_op_kernels (needs nvcc)",
           directory);
  std::vector<Kernel> list;
  for (auto& [key, kernel] : kernels) list.push_back(std::move(kernel));
  return list;
}

int resident_warps(const Instance& kernel, std::size_t dynamic_shared) {
  WN_CHECK(kernel.threads > 0, DataError, "{} has no __launch_bounds__", kernel.symbol);
  const cudaOccDeviceProp limits = limits_of(kernel.architecture);
  cudaOccFuncAttributes attributes;
  attributes.maxThreadsPerBlock = kernel.threads;
  attributes.numRegs = kernel.registers;
  attributes.sharedSizeBytes = kernel.shared;
  attributes.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
  attributes.maxDynamicSharedSizeBytes = dynamic_shared;
  attributes.numBlockBarriers = 1;
  const cudaOccDeviceState state{};
  cudaOccResult result;
  const auto error =
      cudaOccMaxActiveBlocksPerMultiprocessor(&result, &limits, &attributes, &state, kernel.threads, dynamic_shared);
  WN_CHECK(error == CUDA_OCC_SUCCESS, DataError, "{}: cuda_occupancy.h answers {}", kernel.symbol,
           static_cast<int>(error));
  return result.activeBlocksPerMultiprocessor * ((kernel.threads + kWarp - 1) / kWarp);
}

std::string defect(const Instance& kernel) {
  if (kernel.threads == 0) return "has no __launch_bounds__";
  if (kernel.spilled > 0) return fmt::format("spills {} bytes", kernel.spilled);
  const int blocks = resident_warps(kernel, 0) * kWarp / kernel.threads, stated = std::max(1, kernel.blocks);
  if (blocks < stated)
    return fmt::format("{} registers a thread and {} bytes of shared memory: {} blocks of {} threads fit, not {}",
                       kernel.registers, kernel.shared, blocks, kernel.threads, stated);
  return "";
}

}  // namespace winnow::kernel_page
