// What every mode of optest works with: the options, the operators with their samples, and the report.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/op.h"
#include "core/samples.h"

namespace winnow::optest {

struct Options {
  std::string mode, op, kernel, sample, root = ".";
  std::vector<std::string> only = {};  // operators; empty: all
  uint64_t seed = 0;
  bool list = false, verbose = false, check = false;
  bool first = false;    // end at the first failure
  bool hostile = false;  // internal: this process makes the hostile calls of one operator
  bool small = false;    // leaves the large samples out: for the emulation of a device
  Device device;         // whose kernels are tested
};

// One sample of one operator.
struct Case {
  const OpDef* op = nullptr;
  const Sample* sample = nullptr;
  uint64_t seed = 0;
};

// A benchmark case of more than a million elements: `ref` and `det` run it, the other modes have smaller samples.
bool is_large(const Sample& sample);

struct Operator {
  const OpDef* op = nullptr;
  std::vector<Sample> samples;
};

// The operators that the options select.
class Suite {
 public:
  explicit Suite(const Options& options);
  const std::vector<Operator>& operators() const { return operators_; }
  Device device() const { return options_.device; }
  bool small() const { return options_.small; }
  // Samples that must run, in the registry's order.
  std::vector<Case> cases() const;

 private:
  std::vector<Operator> operators_;
  const Options& options_;
};

// The kernels of an operator on a kind of device, in order of preference; an alias operator has one that copies on the
// CPU.
std::vector<const KernelDef*> kernels_of(const OpDef& op, Device::Kind device = Device::CPU);
const KernelDef& reference_of(const OpDef& op);  // the last one of the CPU

// Counts what a mode checked and prints each failure with the command that repeats it.
class Report {
 public:
  Report(std::string mode, const Options& options);
  // What is being done, for the message when the process dies of a signal. Cheap.
  void at(const OpDef& op, const std::string& sample = "", const std::string& kernel = "",
          const std::string& detail = "");
  void checked(const OpDef& op, const std::string& kernel = "") {
    ops_.insert(op.name), kernels_.insert(op.name + ("/" + kernel)), ++cases_;
  }
  void fail(const OpDef& op, const std::string& sample, const std::string& kernel, const std::string& text);
  void add(int64_t cases, int64_t failures) { cases_ += cases, failures_ += failures; }
  void note(const std::string& text) const;  // with -v
  int64_t cases() const { return cases_; }
  int64_t failures() const { return failures_; }
  void summary() const;

 private:
  std::string mode_;
  const Options& options_;
  std::set<std::string> ops_, kernels_;
  std::map<std::string, int> printed_;
  int64_t cases_ = 0, failures_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::string own_path();  // of this program, to start it again

// SIGSEGV, SIGFPE, SIGABRT...: prints what Report::at said last and ends with code 3.
void name_the_case_on_a_crash();

// Sets the number of compute threads while it lives.
class Threads {
 public:
  explicit Threads(int threads);
  ~Threads();

 private:
  int before_;
};

// The modes. Each returns the number of failures.
using Mode = int64_t (*)(const Suite&, const Options&);
int64_t check_rules(const Suite&, const Options&);
int64_t check_fill(const Suite&, const Options&);
int64_t check_grad(const Suite&, const Options&);
int64_t check_ref(const Suite&, const Options&);
int64_t check_exact(const Suite&, const Options&);
int64_t check_alias(const Suite&, const Options&);
int64_t check_oob(const Suite&, const Options&);
int64_t check_det(const Suite&, const Options&);
int64_t check_err(const Suite&, const Options&);
int64_t check_nan(const Suite&, const Options&);
int64_t check_support(const Suite&, const Options&);

}  // namespace winnow::optest
