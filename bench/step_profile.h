// Where a step's time goes, and the memory it took: for the benchmarks of steps.
#pragma once
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/program.h"

namespace winnow {

inline double peak_rss_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// Products one by one, then all kernels by the time they take; means of `runs` runs, on stderr.
inline void print_profile(Program& program, const std::vector<Tensor>& feeds, Stream& stream, int runs) {
  std::map<std::string, NodeProfile> by_op;
  double total = 0;
  for (const NodeProfile& p : program.profile(feeds, stream, runs)) {
    NodeProfile& sum = by_op[p.op + " " + p.kernel];
    sum.seconds += p.seconds;
    sum.cost.flops += p.cost.flops;
    sum.cost.bytes += p.cost.bytes;
    total += p.seconds;
    if (p.op == "matmul" || p.op == "linear_weight_grad")
      fmt::print(stderr, "  {:<18} {:<10} {:8.3f} ms {:7.1f} GFLOP/s  {}\n", p.op, p.kernel, p.seconds * 1e3,
                 p.cost.flops / p.seconds * 1e-9, p.source);
  }
  std::vector<std::pair<std::string, NodeProfile>> sorted(by_op.begin(), by_op.end());
  std::ranges::sort(sorted, std::greater{}, [](const auto& p) { return p.second.seconds; });
  for (const auto& [name, p] : sorted)
    fmt::print(stderr, "{:<40} {:8.3f} ms {:5.1f} %  {:7.1f} GFLOP/s {:6.1f} GB/s\n", name, p.seconds * 1e3,
               100 * p.seconds / total, p.cost.flops / p.seconds * 1e-9, p.cost.bytes / p.seconds * 1e-9);
}

}  // namespace winnow
