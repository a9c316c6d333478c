#include "tests/optest/suite.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "core/parallel.h"

namespace winnow::optest {
namespace {

// Read by a signal handler, hence plain memory.
char current_case[512] = "(nothing yet)\n";

void crashed(int signal) {
  const char* text = signal == SIGALRM ? "FAIL: does not end: " : "FAIL: the process died of a signal in ";
  (void)!write(STDOUT_FILENO, text, strlen(text));
  (void)!write(STDOUT_FILENO, current_case, strlen(current_case));
  _exit(3);
}

void copy_input(const Call& c) {
  if (c.in_spec(0).bytes() > 0) std::memcpy(c.outputs[0], c.inputs[0], c.in_spec(0).bytes());
}
const KernelDef kAlias{.name = "alias", .run = copy_input};

}  // namespace

bool is_large(const Sample& sample) {
  constexpr int64_t kMany = 1 << 20;
  int64_t n = 0;
  for (const Arg& arg : sample.in) n += arg.spec.shape.numel();
  return sample.bench && n > kMany;
}

Suite::Suite(const Options& options) : options_(options) {
  if (!options.op.empty()) registry().at(options.op);  // an unknown name is an error
  for (const std::string& name : options.only) registry().at(name);
  for (const OpDef* op : registry().all()) {
    if (!options.op.empty() && options.op != op->name) continue;
    if (!options.only.empty() && std::ranges::find(options.only, op->name) == options.only.end()) continue;
    Samples samples;
    op->samples(samples);
    operators_.push_back({op, samples.list()});
  }
}

std::vector<Case> Suite::cases() const {
  std::vector<Case> list;
  for (const Operator& entry : operators_)
    for (const Sample& sample : entry.samples)
      if (sample.throws.empty() && (options_.sample.empty() || options_.sample == sample.name))
        list.push_back({entry.op, &sample, options_.seed});
  return list;
}

std::vector<const KernelDef*> kernels_of(const OpDef& op, Device::Kind device) {
  std::vector<const KernelDef*> list;
  for (const KernelDef& k : op.kernels)
    if (k.device == device) list.push_back(&k);
  if (list.empty() && op.alias && device == Device::CPU) list.push_back(&kAlias);
  return list;
}

const KernelDef& reference_of(const OpDef& op) {
  const auto kernels = kernels_of(op);
  WN_CHECK(!kernels.empty(), Error, "operator '{}' has no CPU kernel", op.name);
  return *kernels.back();
}

Report::Report(std::string mode, const Options& options) : mode_(std::move(mode)), options_(options) {}

void Report::at(const OpDef& op, const std::string& sample, const std::string& kernel, const std::string& detail) {
  const auto end =
      fmt::format_to_n(current_case, sizeof current_case - 1, "optest {} --op {} --sample '{}' --kernel '{}' {}\n",
                       mode_, op.name, sample, kernel, detail);
  *end.out = '\0';
}

void Report::fail(const OpDef& op, const std::string& sample, const std::string& kernel, const std::string& text) {
  ++failures_;
  constexpr int kPrintedPerOperator = 12;
  const int n = ++printed_[op.name];
  if (n > kPrintedPerOperator && !options_.verbose) return;
  fmt::print("FAIL {} {}{}{}{}{}: {}\n", mode_, op.name, sample.empty() ? "" : "/", sample,
             kernel.empty() ? "" : " kernel ", kernel, text);
  fmt::print("  again: optest {} --op {}", mode_, op.name);
  if (!sample.empty()) fmt::print(" --sample '{}'", sample);
  if (!kernel.empty()) fmt::print(" --kernel {}", kernel);
  if (options_.seed != 0) fmt::print(" --seed {}", options_.seed);
  fmt::print("\n");
  if (options_.first) {
    fflush(stdout);
    std::exit(1);
  }
  if (n == kPrintedPerOperator && !options_.verbose)
    fmt::print("  (further failures of {} are counted; -v prints them)\n", op.name);
}

void Report::note(const std::string& text) const {
  if (options_.verbose) fmt::print("{} {}\n", mode_, text);
}

void Report::summary() const {
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start_;
  fmt::print("{:8} {:4} operators {:6} cases {:4} kernels {:7.2f} s  {}\n", mode_, ops_.size(), cases_, kernels_.size(),
             seconds.count(), failures_ == 0 ? "ok" : fmt::format("{} FAILURES", failures_));
  fflush(stdout);
}

std::string own_path() {
  std::string path(4096, '\0');
  const ssize_t n = readlink("/proc/self/exe", path.data(), path.size());
  WN_CHECK(n > 0, IoError, "optest: /proc/self/exe cannot be read");
  path.resize(static_cast<size_t>(n));
  return path;
}

Threads::Threads(int threads) : before_(num_threads()) { set_num_threads(threads); }
Threads::~Threads() { set_num_threads(before_); }

void name_the_case_on_a_crash() {
  for (const int s : std::array{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM}) {
    struct sigaction action = {};
    action.sa_handler = crashed;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(s, &action, nullptr);
  }
}

}  // namespace winnow::optest
