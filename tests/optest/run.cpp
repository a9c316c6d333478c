#include <CLI/CLI.hpp>
#include <cstdlib>

#include "tests/optest/optest.h"
#include "tests/optest/suite.h"

namespace winnow::optest {
namespace {

struct NamedMode {
  const char* name;
  Mode check;
  const char* what;
  bool of_kernels = true;  // and so of every device; the others are about the definitions
};

constexpr NamedMode kModes[] = {
    {"rules", check_rules, "every definition is complete and every kernel is reached by a sample", false},
    {"fill", check_fill, "sample contents are deterministic and within their range", false},
    {"grad", check_grad, "gradients against central differences in double", false},
    {"ref", check_ref, "each kernel against the double reference"},
    {"exact", check_exact, "small-integer inputs: bit-equal to the double reference"},
    {"alias", check_alias, "in-place pairs give the bits of the out-of-place run"},
    {"oob", check_oob, "red zones, guard pages, unwritten outputs, changed inputs"},
    {"det", check_det, "same bits over runs and 1, 2, 3, 7 threads"},
    {"err", check_err, "must-throw samples and hostile calls", false},
    {"nan", check_nan, "NaN and infinity propagate alike in every kernel"},
    {"support", check_support, "writes docs/op_support.md; --check compares"},
};

int64_t run_mode(const Suite& suite, const Options& options) {
  for (const NamedMode& m : kModes)
    if (options.mode == m.name) return m.check(suite, options);
  return 1;
}

// Each mode in a process of its own, so that a crash in one leaves the others their say.
int64_t run_all_modes(const Options& options, int argc, char** argv) {
  int64_t failures = 0;
  for (const NamedMode& m : kModes) {
    if (std::string_view(m.name) == "support" && !options.only.empty()) continue;  // a page of this source tree
    if (options.device.kind != Device::CPU && !m.of_kernels) continue;
    std::string command = fmt::format("'{}' {}", own_path(), m.name);
    for (int i = 1; i < argc; ++i) command += fmt::format(" '{}'", argv[i]);
    if (std::string_view(m.name) == "support") command += " --check";  // a run of everything leaves no file behind
    fflush(stdout);
    failures += std::system(command.c_str()) == 0 ? 0 : 1;
  }
  return failures;
}

void list_cases(const Suite& suite) {
  for (const Operator& entry : suite.operators()) {
    fmt::print("{}: {}\n", entry.op->name, entry.op->doc);
    for (const KernelDef* k : kernels_of(*entry.op, suite.device().kind)) fmt::print("  kernel {}\n", k->name);
    for (const Sample& s : entry.samples)
      fmt::print("  sample '{}'{}\n", s.name, s.throws.empty() ? "" : fmt::format(" throws \"{}\"", s.throws));
  }
}

}  // namespace

int run(int argc, char** argv, const std::vector<std::string>& only) {
  Options options;
  options.only = only;
  std::string modes;
  for (const NamedMode& m : kModes) modes += fmt::format("\n  {:8} {}", m.name, m.what);
  CLI::App app("Tests every operator of the registry from its own samples. Modes (none = all):" + modes);
  std::vector<std::string> names;
  for (const NamedMode& m : kModes) names.emplace_back(m.name);
  app.add_option("mode", options.mode, "one mode")->check(CLI::IsMember(names));
  std::string device = "cpu";
  app.add_option("--device", device, "cpu, cuda or cuda:0, where this program has that backend");
  app.add_flag("--small", options.small, "leave the large samples out (emulated devices)");
  app.add_option("--op", options.op, "only this operator");
  app.add_option("--kernel", options.kernel, "only this kernel");
  app.add_option("--sample", options.sample, "only this sample");
  app.add_option("--seed", options.seed, "another filling of the samples");
  app.add_option("--root", options.root, "root of the source tree, for support");
  app.add_flag("--check", options.check, "support: compare with the committed page");
  app.add_flag("--list", options.list, "print operators, kernels and samples");
  app.add_flag("--first", options.first, "end at the first failure");
  app.add_flag("-v,--verbose", options.verbose, "print refusals and every failure");
  app.add_flag("--hostile", options.hostile)->group("");
  CLI11_PARSE(app, argc, argv);
  try {
    options.device = parse_device(device);
    name_the_case_on_a_crash();
    const Suite suite(options);
    if (options.list) return list_cases(suite), 0;
    return (options.mode.empty() ? run_all_modes(options, argc, argv) : run_mode(suite, options)) == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "optest: {}\n", error.what());
    return 2;
  }
}

}  // namespace winnow::optest
