// docs/cuda_kernels.md: what the operators' CUDA kernels use of a device, and what they move.
//
//   cuda_kernels write BUILD_DIR    the page, from the objects of winnow_op_kernels and a run of each operator
//   cuda_kernels objects BUILD_DIR  every kernel in the objects keeps what it states, and has a row; every row a kernel
//   cuda_kernels traffic            the page's table of operators is what they move now
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>

#include "core/cuda/register.h"
#include "core/error.h"
#include "tests/emulation/kernel_resources.h"
#include "tests/emulation/operator_traffic.h"

namespace winnow::kernel_page {
namespace {

constexpr const char* kPage = "docs/cuda_kernels.md";
constexpr const char* kReasons = "tests/emulation/traffic_reasons.txt";
constexpr double kMuch = 2;  // from where on the ratio of moved bytes wants a reason

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  WN_CHECK(in.good(), IoError, "{} cannot be read: run from the source directory", path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// "18" or "18-32", of a number of each instance for one architecture; `of` may be any projection.
template <class F>
std::string range(const Kernel& kernel, int architecture, F&& of) {
  int64_t least = INT64_MAX, most = INT64_MIN;
  for (const Instance& i : kernel.instances) {
    if (architecture != 0 && i.architecture != architecture) continue;
    const auto n = static_cast<int64_t>(of(i));
    least = std::min(least, n);
    most = std::max(most, n);
  }
  return least > most ? "-" : least == most ? fmt::format("{}", least) : fmt::format("{}-{}", least, most);
}

std::set<int> architectures_of(const std::vector<Kernel>& kernels) {
  std::set<int> list;
  for (const Kernel& k : kernels)
    for (const Instance& i : k.instances) list.insert(i.architecture);
  return list;
}

// By the name of the kernel: the most of its launches on all operators' samples.
std::map<std::string, std::size_t> dynamic_shared(const std::vector<OperatorTraffic>& operators) {
  std::map<std::string, std::size_t> most;
  for (const OperatorTraffic& t : operators)
    for (const auto& launch : t.launches) most[launch.name] = std::max(most[launch.name], launch.dynamic_shared);
  return most;
}

std::string row_key(const Kernel& kernel) { return fmt::format("| `{}` | `{}` |", kernel.file, kernel.name); }

std::string resource_table(const std::vector<Kernel>& kernels, const std::map<std::string, std::size_t>& dynamic) {
  const std::set<int> architectures = architectures_of(kernels);
  std::vector<std::string> names;
  for (const int a : architectures) names.push_back(fmt::format("{}", a));
  const std::string each = fmt::format("{}", fmt::join(names, " / "));
  std::string text = fmt::format(
      "| file | kernel | instances | threads | registers, sm_{} | shared memory, static + dynamic | resident warps, "
      "sm_{} |\n|---|---|---|---|---|---|---|\n",
      each, each);
  for (const Kernel& k : kernels) {
    const auto at = dynamic.find(k.name);
    const std::size_t more = at == dynamic.end() ? 0 : at->second;
    std::vector<std::string> registers, warps;
    for (const int a : architectures) {
      registers.push_back(range(k, a, [](const Instance& i) { return i.registers; }));
      warps.push_back(range(k, a, [&](const Instance& i) { return resident_warps(i, more); }));
    }
    text += fmt::format("{} {} | {} | {} | {}{} | {} |\n", row_key(k), k.instances.size() / architectures.size(),
                        range(k, 0, [](const Instance& i) { return i.threads; }), fmt::join(registers, " / "),
                        range(k, 0, [](const Instance& i) { return i.shared; }),
                        more > 0 ? fmt::format(" + {}", more) : "", fmt::join(warps, " / "));
  }
  return text;
}

// Lines "operator: reason".
std::map<std::string, std::string> read_reasons() {
  std::map<std::string, std::string> reasons;
  std::istringstream in(read(kReasons));
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t colon = line.find(": ");
    WN_CHECK(colon != std::string::npos, DataError, "{}: {}: expected \"operator: reason\"", kReasons, line);
    reasons[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return reasons;
}

bool wants_reason(const OperatorTraffic& t) { return t.again() > kMuch || t.moved() > kMuch; }

std::string traffic_table(const std::vector<OperatorTraffic>& operators) {
  std::string text =
      "| operator | sample | elements | flops | bytes needed | moved | asked | moved, asked / needed | coalesced |\n"
      "|---|---|---|---|---|---|---|---|---|\n";
  for (const OperatorTraffic& t : operators) {
    const double n = static_cast<double>(std::max<int64_t>(1, t.elements));
    text += fmt::format("| `{}`{} | {} | {} | {:.3g} | {:.3g} | {:.3g} | {:.3g} | {:.2f}, {:.2f} | {:.0f} % |\n", t.op,
                        t.library ? " (L)" : "", t.sample, t.elements, t.needed.flops / n, t.needed.bytes / n,
                        t.distinct / n, t.asked / n, t.moved(), t.again(), 100 * t.coalesced);
  }
  return text;
}

std::string reason_table(const std::vector<OperatorTraffic>& operators,
                         const std::map<std::string, std::string>& reasons) {
  std::string text = "| operator | moved, asked / needed | why |\n|---|---|---|\n";
  for (const OperatorTraffic& t : operators)
    if (wants_reason(t)) {
      const auto at = reasons.find(t.op);
      text += fmt::format("| `{}` | {:.2f}, {:.2f} | {} |\n", t.op, t.moved(), t.again(),
                          at == reasons.end() ? "not explained" : at->second);
    }
  return text;
}

constexpr const char* kOperators = "## What the operators move\n";

std::string operators_text(const std::vector<OperatorTraffic>& operators) {
  return fmt::format(
      "{}\nOf one sample of each operator, the largest of at most {} elements, run on the emulated device with every "
      "access\ncounted; per output element. Needed: `OpDef::cost`, flops likewise. Moved: 32 bytes for each sector "
      "that a "
      "launch touches,\nonce for reading and once for writing, whatever its caches keep. Asked: the bytes that all "
      "threads' instructions name, the\nsame ones again included. Coalesced: of the sectors that the warps' accesses "
      "touch, the share that the fewest would be. (L): the\nproduct itself is cuBLASLt's and not counted.\n\n{}\n### "
      "More than {} times what is needed\n\n{}",
      kOperators, kMostElements, traffic_table(operators), kMuch, reason_table(operators, read_reasons()));
}

std::string page(const std::vector<Kernel>& kernels, const std::vector<OperatorTraffic>& operators) {
  return fmt::format(
      "# CUDA kernels: what they use and what they move\n\nGenerated by `build/cuda_kernels write build` (targets "
      "`cuda_kernels`, `winnow_op_kernels`); tests fail when a kernel has no\nrow and when an operator moves something "
      "else than is said here.\n\n## What the kernels use\n\nBy nvcc {}.{}; no kernel spills. {} kernels in {} "
      "instances; a range is over the instances. Threads: of a block, at most\n(`__launch_bounds__`). Resident warps, "
      "of "
      "64: how many of a multiprocessor's places registers, shared memory and blocks\nof that size leave, by the "
      "toolkit's `cuda_occupancy.h`; a kernel that keeps a row in registers has few by intent. Dynamic\nshared memory: "
      "the most of the launches below.\n\n{}\n{}",
      CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10, kernels.size(),
      [&] {
        std::size_t n = 0;
        for (const Kernel& k : kernels) n += k.instances.size();
        return n / architectures_of(kernels).size();
      }(),
      resource_table(kernels, dynamic_shared(operators)), operators_text(operators));
}

int failures(const std::vector<std::string>& found) {
  for (const std::string& text : found) std::printf("FAIL %s\n", text.c_str());
  return found.empty() ? 0 : 1;
}

// Launches of more threads than the kernel's bounds allow, and reasons that are missing or no longer needed.
std::vector<std::string> wrong_traffic(const std::vector<OperatorTraffic>& operators) {
  std::vector<std::string> found;
  std::map<std::string, std::string> reasons = read_reasons();
  for (const OperatorTraffic& t : operators) {
    const bool has = reasons.erase(t.op) > 0;
    if (wants_reason(t) && !has)
      found.push_back(fmt::format("{}: moves {:.2f} and asks for {:.2f} times the needed bytes, without a reason in {}",
                                  t.op, t.moved(), t.again(), kReasons));
    if (!wants_reason(t) && has) found.push_back(fmt::format("{}: {} has a reason that is not needed", t.op, kReasons));
  }
  for (const auto& [op, reason] : reasons) found.push_back(fmt::format("{}: {} names no operator here", op, kReasons));
  return found;
}

std::vector<std::string> too_many_threads(const std::vector<Kernel>& kernels,
                                          const std::vector<OperatorTraffic>& operators) {
  std::map<std::string, int> bound;
  for (const Kernel& k : kernels)
    for (const Instance& i : k.instances) bound[k.name] = std::max(bound[k.name], i.threads);
  std::vector<std::string> found;
  for (const OperatorTraffic& t : operators)
    for (const auto& launch : t.launches) {
      if (launch.name.empty()) continue;
      const auto at = bound.find(launch.name);
      if (at == bound.end())
        found.push_back(fmt::format("{}: its kernel {} is in no object", t.op, launch.name));
      else if (static_cast<int>(launch.threads) > at->second)
        found.push_back(fmt::format("{}: {} is launched with {} threads, its bound is {}", t.op, launch.name,
                                    launch.threads, at->second));
    }
  return found;
}

std::string objects_in(const std::string& build) { return build + "/winnow_op_kernels"; }

int check_objects(const std::string& build) {
  std::vector<std::string> found;
  std::istringstream lines(read(kPage));
  std::set<std::string> rows;
  for (std::string line; std::getline(lines, line) && line + "\n" != kOperators;)
    if (line.starts_with("| `")) rows.insert(line.substr(0, line.find(" |", line.find("| `", 3)) + 2));
  for (const Kernel& k : read_kernels(objects_in(build))) {
    for (const Instance& i : k.instances)
      if (const std::string text = defect(i); !text.empty())
        found.push_back(fmt::format("{}.cu: {} for sm_{} {}", k.file, k.name, i.architecture, text));
    if (rows.erase(row_key(k)) == 0)
      found.push_back(fmt::format("{}.cu: {} has no row in {}: cuda_kernels write", k.file, k.name, kPage));
  }
  for (const std::string& row : rows) found.push_back(fmt::format("{}: no kernel for the row {}", kPage, row));
  return failures(found);
}

int check_traffic() {
  const auto operators = measure_traffic();
  std::vector<std::string> found = wrong_traffic(operators);
  const std::string text = read(kPage);
  const size_t at = text.find(kOperators);
  if (at == std::string::npos || text.substr(at) != operators_text(operators))
    found.push_back(fmt::format("{}: the table of operators is out of date: cuda_kernels write", kPage));
  return failures(found);
}

int write_page(const std::string& build) {
  const auto kernels = read_kernels(objects_in(build));
  const auto operators = measure_traffic();
  std::ofstream out(kPage, std::ios::binary);
  out << page(kernels, operators);
  WN_CHECK(out.flush().good(), IoError, "{} cannot be written", kPage);
  std::vector<std::string> found = wrong_traffic(operators);
  for (const std::string& text : too_many_threads(kernels, operators)) found.push_back(text);
  return failures(found);
}

int run(const std::vector<std::string>& words) {
  if (words.size() == 2 && words[0] == "objects") return check_objects(words[1]);
  cuda::register_backend();
  if (words.size() == 1 && words[0] == "traffic") return check_traffic();
  if (words.size() == 2 && words[0] == "write") return write_page(words[1]);
  std::fputs("usage: cuda_kernels write BUILD_DIR | objects BUILD_DIR | traffic\n", stderr);
  return 2;
}

}  // namespace
}  // namespace winnow::kernel_page

int main(int argc, char** argv) {
  try {
    return winnow::kernel_page::run({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::fprintf(stderr, "cuda_kernels: %s\n", e.what());
    return 1;
  }
}
