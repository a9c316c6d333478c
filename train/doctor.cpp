#include "train/doctor.h"

#include <omp.h>
#include <sys/statvfs.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "core/cpu/int8_matmul.h"
#include "core/cpu/onednn_info.h"
#include "core/cpu/sgemm.h"
#include "core/parallel.h"
#include "core/program.h"
#include "ops/matmul.h"
#include "ops/softmax.h"

namespace winnow {
namespace {

constexpr int kOldestCapability = 80;  // of what core/cuda/ptx.h uses

// Sizes that no vector width divides, so that the ends of rows are computed too.
constexpr int64_t kRows = 33, kDepth = 65, kColumns = 17;

float x_at(int64_t i, int64_t j) { return static_cast<float>((i * 7 + j * 3) % 11 - 5) / 8.0f; }
float w_at(int64_t i, int64_t j) { return static_cast<float>((i * 5 + j * 2) % 13 - 6) / 16.0f; }

Tensor filled(int64_t rows, int64_t columns, float (*at)(int64_t, int64_t)) {
  Tensor t(TensorSpec{DType::F32, {rows, columns}});
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) t.data<float>()[i * columns + j] = at(i, j);
  return t;
}

// The value behind the first `key` of a file of "key value" or "key : value" lines; "" without it.
std::string value_of(const char* path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const size_t at = line.find_first_not_of(": \t", key.size());
    return at == std::string::npos ? "" : line.substr(at);
  }
  return "";
}
size_t kib(const std::string& text) {
  return text.empty() ? 0 : size_t{1024} * std::strtoull(text.c_str(), nullptr, 10);
}

// A file of one number, as cgroups have them; 0 where there is none ("max", no such file).
size_t number_in(const char* path) {
  std::ifstream in(path);
  size_t n = 0;
  return in >> n ? n : 0;
}
double cpu_quota() {
  std::ifstream in("/sys/fs/cgroup/cpu.max");
  double quota = 0, period = 0;
  return in >> quota >> period && period > 0 ? quota / period : 0;
}

std::vector<std::string> instruction_sets() {
  std::vector<std::string> found;
  const auto add = [&](bool has, const char* name) {
    if (has) found.emplace_back(name);
  };
  add(__builtin_cpu_supports("avx2"), "AVX2");
  add(__builtin_cpu_supports("fma"), "FMA");
  add(__builtin_cpu_supports("avx512f"), "AVX-512 F");
  add(__builtin_cpu_supports("avx512vl"), "AVX-512 VL");
  add(__builtin_cpu_supports("avx512bw"), "AVX-512 BW");
  add(__builtin_cpu_supports("avx512dq"), "AVX-512 DQ");
  add(__builtin_cpu_supports("avx512vnni"), "AVX-512 VNNI");
  add(__builtin_cpu_supports("avx512bf16"), "AVX-512 bf16");
  return found;
}

void look_at_host(Diagnosis& d) {
  d.cpu = value_of("/proc/cpuinfo", "model name");
  if (d.cpu.empty()) d.cpu = "unknown";
  d.onednn = cpu::onednn_version();
  d.instruction_sets = instruction_sets();
  d.kernels = cpu::has_isa(cpu::Isa::Avx512) ? "AVX-512" : "AVX2";
  d.int8_kernels = cpu::has_int8_isa(cpu::Int8Isa::Vnni) ? "VNNI" : d.kernels;
  d.bf16 = device_info({}).avx512_bf16;
  d.cores = omp_get_num_procs();
  d.threads = num_threads();
  d.cpu_quota = cpu_quota();
  d.operators = registry().all().size();
  d.memory = kib(value_of("/proc/meminfo", "MemTotal"));
  d.free_memory = kib(value_of("/proc/meminfo", "MemAvailable"));
  if (const size_t limit = number_in("/sys/fs/cgroup/memory.max"); limit > 0 && limit < d.memory) {
    const size_t used = number_in("/sys/fs/cgroup/memory.current");
    d.memory = limit;
    d.free_memory = std::min(d.free_memory, limit - std::min(limit, used));
  }
  struct statvfs disk {};
  if (statvfs(".", &disk) == 0) {
    d.disk = disk.f_blocks * disk.f_frsize;
    d.free_disk = disk.f_bavail * disk.f_frsize;
  }
}

std::string self_test(Device device) {
  try {
    const Tensor y = self_test_output(device);
    return judge_self_test(y.span<float>());
  } catch (const Error& e) { return e.what(); }
}

bool has_kernels(const BackendDescription& gpu, int sm) {
  return std::ranges::any_of(gpu.architectures, [&](int a) { return binary_runs_on(a, sm); });
}

// "" or why this device cannot be used.
std::string problem_of(const BackendDescription& gpu, const DeviceDescription& device) {
  if (!device.problem.empty()) return device.problem;
  if (has_kernels(gpu, device.sm)) return "";
  const std::string capability = fmt::format("{}.{}", device.sm / 10, device.sm % 10);
  if (device.sm < kOldestCapability)
    return fmt::format("compute capability {}; Winnow's kernels need 8.0 or newer; use --device cpu", capability);
  return fmt::format(
      "this program has no kernels for compute capability {}: build with -DWINNOW_CUDA_ARCHITECTURES={}, or use "
      "--device cpu",
      capability, device.sm);
}

// A device that this program was not built for is a problem only when it was asked for.
void look_at_devices(Diagnosis& d, Device wanted) {
  d.gpu_backend = has_backend(Device::CUDA);
  if (!d.gpu_backend) return;
  d.gpu = backend_of({Device::CUDA, 0}).describe();
  for (DeviceDescription& device : d.gpu.devices) {
    device.problem = problem_of(d.gpu, device);
    d.self_tests.push_back(device.problem.empty() ? self_test(device.device) : "not run");
    if (device.problem.empty() && d.self_tests.back() != "right")
      device.problem = fmt::format("self test: {}", d.self_tests.back());
    if (device.problem.empty()) continue;
    if (has_kernels(d.gpu, device.sm) || device.device == wanted)
      d.problems.push_back(fmt::format("{}: {}", device.device.str(), device.problem));
  }
}

}  // namespace

bool binary_runs_on(int architecture, int sm) { return architecture / 10 == sm / 10 && architecture <= sm; }

Tensor self_test_output(Device device) {
  Graph g(device);
  const Value x = g.input("x", {DType::F32, {kRows, kDepth}});
  auto w = std::make_shared<Variable>();
  w->name = std::string("w");
  w->value = filled(kDepth, kColumns, w_at);
  g.output("y", softmax(matmul(x, g.persistent(w))));
  Program program = compile(g);
  const Tensor feed = filled(kRows, kDepth, x_at);
  const auto stream = make_stream(device);
  program.run(std::span(&feed, 1), *stream);
  stream->synchronize();
  return program.output("y").clone();
}

std::string judge_self_test(std::span<const float> y) {
  double worst = 0;
  for (int64_t i = 0; i < kRows; ++i) {
    std::vector<double> terms;
    double sum = 0;
    for (int64_t j = 0; j < kColumns; ++j) {
      double dot = 0;
      for (int64_t k = 0; k < kDepth; ++k) dot += static_cast<double>(x_at(i, k)) * static_cast<double>(w_at(k, j));
      terms.push_back(std::exp(dot));
      sum += terms.back();
    }
    for (int64_t j = 0; j < kColumns; ++j) {
      const double got = static_cast<double>(y[static_cast<size_t>(i * kColumns + j)]);
      const double off = std::abs(got - terms[static_cast<size_t>(j)] / sum);
      if (!(off <= worst)) worst = std::isnan(off) ? INFINITY : off;
    }
  }
  return worst <= 1e-5 ? "right" : fmt::format("wrong by {:.2g} of a probability", worst);
}

Diagnosis diagnose(Device wanted) {
  Diagnosis d;
  look_at_host(d);
  d.self_tests.push_back(self_test({}));
  if (d.self_tests[0] != "right") d.problems.push_back(fmt::format("cpu: self test: {}", d.self_tests[0]));
  look_at_devices(d, wanted);
  if (wanted.kind == Device::CPU) return d;
  const bool known = std::ranges::any_of(d.gpu.devices, [&](const auto& device) { return device.device == wanted; });
  if (known) return d;  // its problem, if any, is there already
  try {
    WN_CHECK(d.gpu.missing.empty(), DeviceError, "{} is not available: {}", wanted.str(), d.gpu.missing);
    device_info(wanted);
  } catch (const Error& e) { d.problems.emplace_back(e.what()); }
  return d;
}

}  // namespace winnow
