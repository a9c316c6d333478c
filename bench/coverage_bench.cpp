// How often the 95 % intervals of an evaluation hold the truth: build/coverage_bench [repetitions [resamples]].
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "tests/coverage.h"

int main(int argc, char** argv) {
  const int repetitions = argc > 1 ? std::atoi(argv[1]) : 200, resamples = argc > 2 ? std::atoi(argv[2]) : 1000;
  if (repetitions < 1 || resamples < 0) {
    std::fputs("usage: coverage_bench [repetitions [resamples]]; 0 resamples: DeLong's intervals alone\n", stderr);
    return 2;
  }
  std::printf("%d data sets a line, %d resamples; share of 95 %% intervals that hold the truth, standard error %.3f\n",
              repetitions, resamples, std::sqrt(0.95 * 0.05 / repetitions));
  std::printf("%-30s %6s %8s %8s %10s %12s %8s\n", "data", "rows", "AUC", "DeLong", "bootstrap", "differences",
              "bands");
  winnow::CoverageOptions options{.repetitions = repetitions, .resamples = resamples};
  const auto print = [&](const std::string& data, const winnow::Coverage& c) {
    const auto cell = [](double share) { return share < 0 ? std::string("-") : fmt::format("{:.3f}", share); };
    fmt::print("{:<30} {:>6} {:>8.4f} {:>8} {:>10} {:>12} {:>8}\n", data, options.rows, c.truth, cell(c.delong),
               cell(c.bootstrap), cell(c.pairs), cell(c.bands));
    ++options.seed;  // no line shares draws with another
  };
  for (const int rows : {200, 1000, 5000}) {
    options.rows = rows;
    for (const auto& [shift, rate] : {std::pair{0.5, 0.5}, {1.0, 0.3}, {1.5, 0.1}})
      print(fmt::format("binormal, shift {}, rate {}", shift, rate), winnow::binormal_coverage(shift, rate, options));
    for (const auto& [intercept, spread] : {std::pair{0.0, 1.0}, {-2.0, 1.0}})
      print(fmt::format("clicks, logit N({}, {}^2)", intercept, spread),
            winnow::click_coverage(intercept, spread, options));
  }
  return 0;
}
