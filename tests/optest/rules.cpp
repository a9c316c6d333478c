// Mode `rules`: what every definition owes its readers.
#include <cstring>

#include "tests/optest/runner.h"

namespace winnow::optest {
namespace {

void check_definition(const Operator& entry, Report& report) {
  const OpDef& op = *entry.op;
  const auto owe = [&](bool ok, const std::string& text) {
    if (!ok) report.fail(op, "", "", text);
  };
  owe(entry.samples.size() >= 3, fmt::format("has {} samples, at least 3 are needed", entry.samples.size()));
  owe((op.grad == nullptr) != (op.no_grad == nullptr), "needs exactly one of grad and no_grad");
  owe(op.no_grad == nullptr || std::strlen(op.no_grad) > 3, "no_grad needs a reason in words");
  owe(std::strlen(op.doc) > 10, "needs a doc line with the formula");
  std::set<std::string> names;
  bool runs = false, throws = false;
  for (const Sample& s : entry.samples) {
    owe(names.insert(s.name).second, fmt::format("two samples are called '{}'", s.name));
    owe(!s.name.empty() && s.name.find('\'') == std::string::npos, "a sample needs a name without quotes");
    (s.throws.empty() ? runs : throws) = true;
  }
  owe(runs, "no sample runs");
  owe(throws, "no sample must throw");
  const auto kernels = kernels_of(op);
  if (op.alias) return;
  owe(!kernels.empty() && std::strcmp(kernels.back()->name, "reference") == 0,
      "the last CPU kernel must be called 'reference'");
  std::set<std::string> kernel_names;
  for (const KernelDef* k : kernels) {
    owe(k->run != nullptr, fmt::format("kernel {} has no run", k->name));
    owe(kernel_names.insert(k->name).second, fmt::format("two kernels are called {}", k->name));
  }
}

// A kernel that no sample reaches is untested code, unless only this machine lacks what it needs.
void check_reached(const Operator& entry, Report& report) {
  for (const KernelDef* kernel : kernels_of(*entry.op)) {
    bool reached = false;
    const char* reason = "";
    for (const Sample& s : entry.samples) {
      if (!s.throws.empty() || reached) continue;
      try {
        const NodeSpec node = node_of({entry.op, &s, 0});
        reason = refusal_on_any_machine(*kernel, node);
        reached = reason == nullptr;
      } catch (const Error&) {
        // `ref` reports it
      }
    }
    if (!reached)
      report.fail(*entry.op, "", kernel->name,
                  fmt::format("no sample reaches this kernel; it says: {}", reason == nullptr ? "" : reason));
    report.checked(*entry.op, kernel->name);
  }
}

}  // namespace

int64_t check_rules(const Suite& suite, const Options& options) {
  Report report("rules", options);
  for (const Operator& entry : suite.operators()) {
    report.at(*entry.op);
    check_definition(entry, report);
    check_reached(entry, report);
  }
  report.summary();
  return report.failures();
}

}  // namespace winnow::optest
