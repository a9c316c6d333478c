// The loops of the modes that run kernels: over the selected samples and over the kernels that take them.
#pragma once
#include <algorithm>

#include "tests/optest/runner.h"

namespace winnow::optest {

// Runs f(kernel, prepared) for each kernel that takes the node; an Error or a sample without a kernel is a failure.
template <class F>
void for_each_kernel(const Case& c, const NodeSpec& node, const Options& options, Report& report, F&& f) {
  int ran = 0;
  std::string reasons;
  const auto kernels = kernels_of(*c.op, options.device.kind);
  if (kernels.empty()) return;  // support lists the operators without kernel on a device
  for (const KernelDef* kernel : kernels) {
    if (const char* reason = refusal(*kernel, node)) {
      reasons += fmt::format(" {}: {};", kernel->name, reason);
      report.note(fmt::format("{}/{} {} does not run: {}", c.op->name, c.sample->name, kernel->name, reason));
      continue;
    }
    ++ran;
    if (!options.kernel.empty() && options.kernel != kernel->name) continue;
    report.at(*c.op, c.sample->name, kernel->name);
    try {
      f(*kernel, Prepared(*kernel, node));
    } catch (const std::exception& error) { report.fail(*c.op, c.sample->name, kernel->name, error.what()); }
    report.checked(*c.op, kernel->name);
  }
  // kernels of devices are for single precision: the other samples are the CPU's
  const auto wide = [](const TensorSpec& in) { return in.dtype == DType::F64 || in.dtype == DType::BF16; };
  const bool cpu_only =
      options.device.kind != Device::CPU && (c.sample->cpu_only || std::ranges::any_of(node.in, wide));
  if (ran == 0 && !cpu_only) report.fail(*c.op, c.sample->name, "", "no kernel runs this sample:" + reasons);
}

enum class Large { Too, Not };

// f(case, node) for each selected sample; what it throws is a failure of the sample.
template <class F>
void for_each_case(const Suite& suite, Report& report, Large large, F&& f) {
  for (const Case& c : suite.cases()) {
    if ((large == Large::Not || suite.small()) && is_large(*c.sample)) continue;
    report.at(*c.op, c.sample->name);
    try {
      f(c, node_of(c));
    } catch (const std::exception& error) { report.fail(*c.op, c.sample->name, "", error.what()); }
  }
}

}  // namespace winnow::optest
