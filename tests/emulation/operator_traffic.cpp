#include "tests/emulation/operator_traffic.h"

#include <algorithm>

#include "core/cuda/emulation/access_hints.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/race_checker.h"
#include "tests/optest/fill.h"
#include "tests/optest/runner.h"

namespace winnow::kernel_page {
namespace {

using optest::Case, optest::Prepared;

int64_t size_of_node(const NodeSpec& node) {
  int64_t n = 0;
  for (const auto* list : {&node.in, &node.out})
    for (const TensorSpec& spec : *list) n += spec.shape.numel();
  return n;
}

struct Choice {
  const Sample* sample = nullptr;
  const KernelDef* kernel = nullptr;
  int64_t size = 0;
};

// The largest sample that a kernel takes, with the first kernel that takes it.
Choice choose(const optest::Operator& entry) {
  Choice best;
  for (const Sample& sample : entry.samples) {
    if (!sample.throws.empty() || sample.cpu_only) continue;
    const NodeSpec node = optest::node_of({entry.op, &sample, 0});
    const int64_t size = size_of_node(node);
    if (size > kMostElements || size <= best.size) continue;
    for (const KernelDef* kernel : optest::kernels_of(*entry.op, Device::CUDA))
      if (optest::refusal(*kernel, node) == nullptr) {
        best = {&sample, kernel, size};
        break;
      }
  }
  return best;
}

OperatorTraffic measure(const OpDef& op, const Choice& choice) {
  const Case c{&op, choice.sample, 0};
  const Prepared prepared(*choice.kernel, optest::node_of(c));
  const optest::Result operands = prepared.place(optest::filled(c), {.poison = 0});
  const auto stream = make_stream(prepared.device());
  stream->synchronize();
  emulation::clear_kernel_traffic();
  emulation::clear_access_hints();
  prepared.execute(operands, *stream);
  stream->synchronize();
  OperatorTraffic t{.op = op.name, .kernel = choice.kernel->name, .sample = choice.sample->name};
  for (const optest::Visible& v : optest::visible(prepared.node(), operands)) t.elements += v.tensor.numel();
  t.needed = cost_of(prepared.node());
  t.launches = emulation::kernel_traffic();
  for (const auto& k : t.launches) {
    t.asked += static_cast<double>(k.asked());
    t.distinct += static_cast<double>(k.distinct());
  }
  t.coalesced = emulation::device_access_efficiency();
  t.library = t.kernel == "cublaslt";
  return t;
}

}  // namespace

std::vector<OperatorTraffic> measure_traffic(const std::string& only_op) {
  WN_CHECK(emulation::instrumented(), Error, "this program's kernels are not instrumented");
  emulation::options().traffic = emulation::options().access_hints = true;
  emulation::options().page_guards = false;
  optest::Options options;
  options.op = only_op;
  const optest::Suite suite(options);
  std::vector<OperatorTraffic> list;
  for (const optest::Operator& entry : suite.operators()) {
    const Choice choice = choose(entry);
    if (choice.kernel != nullptr) list.push_back(measure(*entry.op, choice));
  }
  for (const emulation::Report& r : emulation::reports()) raise<Error>("{}: {}", r.kind, r.text);
  return list;
}

}  // namespace winnow::kernel_page
