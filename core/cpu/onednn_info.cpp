#include "core/cpu/onednn_info.h"

#include <fmt/format.h>

#include <dnnl.hpp>

namespace winnow::cpu {

std::string onednn_version() {
  const dnnl_version_t* v = dnnl_version();
  const char* runtime = v->cpu_runtime == DNNL_RUNTIME_OMP   ? "OpenMP"
                        : v->cpu_runtime == DNNL_RUNTIME_SEQ ? "sequential"
                                                             : "another runtime";
  return fmt::format("{}.{}.{}, {}", v->major, v->minor, v->patch, runtime);
}

}  // namespace winnow::cpu
