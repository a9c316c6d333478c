// How often the 95 % intervals of an evaluation hold the truth: build/coverage_bench [repetitions], 200 by default.
#include <cstdio>
#include <cstdlib>

#include "tests/coverage.h"

int main(int argc, char** argv) {
  const int repetitions = argc > 1 ? std::atoi(argv[1]) : 200;
  if (repetitions < 1) {
    std::fputs("usage: coverage_bench [repetitions]\n", stderr);
    return 2;
  }
  std::printf("%d data sets each, 1000 resamples; share of intervals that hold the truth\n", repetitions);
  std::printf("%-30s %6s %8s %8s %10s %12s %8s\n", "data", "rows", "AUC", "DeLong", "bootstrap", "differences",
              "bands");
  for (const int rows : {200, 1000, 5000}) {
    const winnow::CoverageOptions options{.repetitions = repetitions, .rows = rows, .resamples = 1000};
    for (const auto& [shift, rate] : {std::pair{0.5, 0.5}, {1.0, 0.3}, {1.5, 0.1}}) {
      const auto c = winnow::binormal_coverage(shift, rate, options);
      std::printf("binormal, shift %.1f, rate %.2f    %6d %8.4f %8.3f %10.3f %12.3f %8s\n", shift, rate, rows, c.truth,
                  c.delong, c.bootstrap, c.pairs, "");
    }
    for (const auto& [intercept, spread] : {std::pair{0.0, 1.0}, {-2.0, 1.0}}) {
      const auto c = winnow::click_coverage(intercept, spread, options);
      std::printf("clicks, logit N(%4.1f, %.1f)       %6d %8.4f %8.3f %10.3f %12s %8.3f\n", intercept, spread, rows,
                  c.truth, c.delong, c.bootstrap, "", c.bands);
    }
  }
  return 0;
}
