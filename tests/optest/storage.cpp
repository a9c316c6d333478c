// Modes `alias`, `oob` and `det`: what a kernel does with the memory it is given, and whether its bits repeat.
#include <cmath>

#include "core/parallel.h"
#include "tests/optest/each.h"
#include "tests/optest/fill.h"
#include "tests/optest/guard_allocator.h"

namespace winnow::optest {
namespace {

void check_zones(const Case& c, const KernelDef& kernel, const Result& r, Report& report) {
  const auto check = [&](const Tensor& t, const std::string& name) {
    if (!RedZoneAllocator::intact(t.raw(), t.bytes()))
      report.fail(*c.op, c.sample->name, kernel.name, fmt::format("wrote outside {} {}", name, t.spec().str()));
  };
  for (size_t i = 0; i < r.in.size(); ++i) check(r.in[i], fmt::format("input {}", i));
  for (size_t o = 0; o < r.out.size(); ++o) check(r.out[o], fmt::format("output {}", o));
  check(r.scratch, "scratch");
}

void check_inputs_unchanged(const Case& c, const KernelDef& kernel, const NodeSpec& node, const std::vector<Tensor>& in,
                            const Result& r, Report& report) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (!mutates(node, i) && !same_bits(in[i], r.in[i]))
      report.fail(*c.op, c.sample->name, kernel.name,
                  fmt::format("wrote to input {}, which is not listed in mutates", i));
  }
}

}  // namespace

int64_t check_alias(const Suite& suite, const Options& options) {
  Report report("alias", options);
  std::set<std::pair<const OpDef*, std::pair<int, int>>> used;
  for_each_case(suite, report, Large::Not, [&](const Case& c, const NodeSpec& node) {
    for (const auto& pair : c.op->inplace) {
      const auto [i, o] = pair;
      const bool fits = i < static_cast<int>(node.in.size()) && o < static_cast<int>(node.out.size()) &&
                        node.in[static_cast<size_t>(i)].bytes() == node.out[static_cast<size_t>(o)].bytes();
      if (!fits) continue;
      used.insert({c.op, pair});
      const auto in = filled(c);
      for_each_kernel(c, node, options, report, [&](const KernelDef& kernel, const Prepared& prepared) {
        const Result apart = prepared.run(in), together = prepared.run(in, {.shared = pair});
        for (size_t v = 0; v < apart.out.size(); ++v)
          if (!same_bits(apart.out[v], together.out[v]))
            report.fail(*c.op, c.sample->name, kernel.name,
                        fmt::format("output {} differs when input {} and output {} share storage: {}", v, i, o,
                                    difference(node, apart, together)));
      });
    }
  });
  for (const Operator& entry : suite.operators())
    for (const auto& pair : entry.op->inplace)
      if (options.sample.empty() && !used.contains({entry.op, pair}))
        report.fail(*entry.op, "", "",
                    fmt::format("no sample fits the in-place pair ({}, {})", pair.first, pair.second));
  report.summary();
  return report.failures();
}

int64_t check_oob(const Suite& suite, const Options& options) {
  Report report("oob", options);
  RedZoneAllocator zones;
  GuardAllocator guards;
  for_each_case(suite, report, Large::Not, [&](const Case& c, const NodeSpec& node) {
    const auto in = filled(c);
    for_each_kernel(c, node, options, report, [&](const KernelDef& kernel, const Prepared& prepared) {
      const bool host = kernel.device == Device::CPU;  // the bounds of device memory are other tools' to watch
      const Result first = prepared.run(in, {.allocator = host ? &zones : nullptr, .poison = 0xFF});
      if (host) check_zones(c, kernel, first, report);
      check_inputs_unchanged(c, kernel, node, in, first, report);
      const Result second = prepared.run(in, {.allocator = host ? &zones : nullptr, .poison = 0x3C});
      if (const std::string text = difference(node, first, second); !text.empty())
        report.fail(
            *c.op, c.sample->name, kernel.name,
            "the result depends on what outputs or scratch held before (an element that is not written?): " + text);
      if (!host) return;
      report.at(*c.op, c.sample->name, kernel.name, "with guard pages: it reached beyond an operand");
      const Result third = prepared.run(in, {.allocator = &guards, .poison = 0xFF});
      if (const std::string text = difference(node, first, third); !text.empty())
        report.fail(*c.op, c.sample->name, kernel.name, "the result depends on what lies around the operands: " + text);
    });
  });
  report.summary();
  return report.failures();
}

int64_t check_det(const Suite& suite, const Options& options) {
  Report report("det", options);
  const int usual = num_threads();
  int exempt = 0;
  for (const Operator& entry : suite.operators())
    for (const KernelDef* k : kernels_of(*entry.op, options.device.kind)) exempt += k->deterministic ? 0 : 1;
  for_each_case(suite, report, Large::Too, [&](const Case& c, const NodeSpec& node) {
    const auto in = filled(c);
    for_each_kernel(c, node, options, report, [&](const KernelDef& kernel, const Prepared& prepared) {
      if (!kernel.deterministic) return;
      const Result first = prepared.run(in);
      for (const int threads : {usual, 1, 2, 3, 7}) {
        if (kernel.device != Device::CPU && threads != usual && threads != 1) continue;  // the host's: two more runs
        if (is_large(*c.sample) && threads != 1 && threads != 3) continue;
        const Threads team(threads);
        const std::string text = difference(node, first, Prepared(kernel, node).run(in));
        if (!text.empty())
          report.fail(*c.op, c.sample->name, kernel.name,
                      fmt::format("a run with {} threads and one with {} differ: {}", usual, threads, text));
      }
    });
  });
  report.note(fmt::format("{} kernels are not marked deterministic", exempt));
  report.summary();
  return report.failures();
}

}  // namespace winnow::optest
