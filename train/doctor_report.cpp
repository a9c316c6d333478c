// What the doctor found, as text and as JSON.
#include <nlohmann/json.hpp>

#include "train/doctor.h"
#include "train/machine.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

double gib(size_t bytes) { return static_cast<double>(bytes) / 1073741824.0; }

void line(std::string& text, const std::string& name, const std::string& value) {
  text += fmt::format("  {:<18} {}\n", name, value);
}
std::string space(size_t free, size_t total) { return fmt::format("{:.1f} GiB free of {:.1f}", gib(free), gib(total)); }
std::string capability(int sm) { return fmt::format("{}.{}", sm / 10, sm % 10); }
std::string capabilities(const std::vector<int>& architectures) {
  std::vector<std::string> names;
  for (const int a : architectures) names.push_back(capability(a));
  return fmt::format("{}", fmt::join(names, ", "));
}

void cpu_text(const Diagnosis& d, std::string& text) {
  text += "CPU\n";
  line(text, "model", d.cpu);
  line(text, "instruction sets", fmt::format("{}", fmt::join(d.instruction_sets, ", ")));
  line(text, "kernels",
       fmt::format("{}; products in bf16: {}; products in bytes: {}", d.kernels,
                   d.bf16 ? "yes (train.precision)" : "no, they need AVX-512 bf16", d.int8_kernels));
  line(text, "cores, threads",
       fmt::format("{} for this process, {} in the OpenMP team{}", d.cores, d.threads,
                   d.cpu_quota > 0 ? fmt::format("; the container may use {:.1f} cores' time", d.cpu_quota) : ""));
  line(text, "oneDNN", d.onednn);
  line(text, "self test", d.self_tests[0]);
  line(text, "memory", space(d.free_memory, d.memory));
  line(text, "disk here", space(d.free_disk, d.disk));
}

void gpu_text(const Diagnosis& d, std::string& text) {
  text += "GPU\n";
  if (!d.gpu_backend) {
    line(text, "backend", "none: built without one; -DWINNOW_GPU=CUDA and the CUDA toolkit add it (docs/gpu.md)");
    return;
  }
  line(text, "backend", fmt::format("CUDA, built with toolkit {}", d.gpu.toolkit));
  line(text, "kernels for", "compute capability " + capabilities(d.gpu.architectures));
  line(text, "driver",
       d.gpu.driver.empty() && d.gpu.driver_cuda.empty()
           ? "none"
           : fmt::format("{}{}", d.gpu.driver.empty() ? "" : d.gpu.driver + ", ",
                         d.gpu.driver_cuda.empty() ? "no CUDA" : "up to CUDA " + d.gpu.driver_cuda));
  for (const auto& [library, version] : d.gpu.runtime) line(text, library, version);
  if (!d.gpu.missing.empty()) line(text, "devices", "none: " + d.gpu.missing);
  for (size_t i = 0; i < d.gpu.devices.size(); ++i) {
    const DeviceDescription& device = d.gpu.devices[i];
    line(text, device.device.str(),
         fmt::format("{}, {}, compute capability {}", device.name, space(device.free_memory, device.memory),
                     capability(device.sm)));
    line(text, "self test", d.self_tests[i + 1]);
    if (!device.problem.empty()) line(text, "", device.problem);
  }
}

Json cpu_json(const Diagnosis& d) {
  return {{"model", d.cpu},
          {"instruction_sets", d.instruction_sets},
          {"kernels", d.kernels},
          {"int8_kernels", d.int8_kernels},
          {"bf16_products", d.bf16},
          {"cores", d.cores},
          {"threads", d.threads},
          {"onednn", d.onednn},
          {"self_test", d.self_tests[0]},
          {"quota", d.cpu_quota > 0 ? Json(d.cpu_quota) : Json()}};
}

Json gpu_json(const Diagnosis& d) {
  if (!d.gpu_backend) return {{"backend", nullptr}, {"devices", Json::array()}};
  Json devices = Json::array(), libraries = Json::object();
  for (const auto& [library, version] : d.gpu.runtime) libraries[library] = version;
  for (size_t i = 0; i < d.gpu.devices.size(); ++i) {
    const DeviceDescription& device = d.gpu.devices[i];
    devices.push_back({{"device", device.device.str()},
                       {"name", device.name},
                       {"compute_capability", capability(device.sm)},
                       {"memory", device.memory},
                       {"free_memory", device.free_memory},
                       {"problem", device.problem.empty() ? Json() : Json(device.problem)},
                       {"self_test", d.self_tests[i + 1]}});
  }
  return {{"backend", "CUDA"},
          {"toolkit", d.gpu.toolkit},
          {"architectures", d.gpu.architectures},
          {"driver", d.gpu.driver.empty() ? Json() : Json(d.gpu.driver)},
          {"driver_cuda", d.gpu.driver_cuda.empty() ? Json() : Json(d.gpu.driver_cuda)},
          {"libraries", libraries},
          {"error", d.gpu.error},
          {"missing", d.gpu.missing.empty() ? Json() : Json(d.gpu.missing)},
          {"devices", devices}};
}

}  // namespace

std::string Diagnosis::str() const {
  std::string text = fmt::format("winnow {}, {} operators\n", version(), operators);
  cpu_text(*this, text);
  gpu_text(*this, text);
  for (const std::string& problem : problems) text += "problem: " + problem + "\n";
  if (problems.empty()) text += "everything that this program offers on this machine works\n";
  return text;
}

std::string Diagnosis::json() const {
  return Json{{"version", version()},
              {"operators", operators},
              {"cpu", cpu_json(*this)},
              {"memory", {{"total", memory}, {"free", free_memory}}},
              {"disk", {{"total", disk}, {"free", free_disk}}},
              {"gpu", gpu_json(*this)},
              {"problems", problems}}
      .dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace winnow
