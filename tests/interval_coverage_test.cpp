// 95 % intervals hold the truth in at least 93 % of data sets whose truth is known (bench/coverage_bench has more
// cases).
#include <gtest/gtest.h>

#include "tests/coverage.h"

namespace winnow {
namespace {

constexpr CoverageOptions kOptions{.repetitions = 600, .rows = 400, .resamples = 300};

TEST(IntervalCoverage, AucOfBinormalScores) {
  const Coverage c = binormal_coverage(1, 0.3, kOptions);
  EXPECT_NEAR(c.truth, 0.7602499, 1e-6);  // Phi(1 / sqrt 2)
  for (const double share : {c.delong, c.bootstrap, c.pairs}) {
    EXPECT_GE(share, 0.93);
    EXPECT_LE(share, 0.98);  // wider than they say is wrong too
  }
}

TEST(IntervalCoverage, AucAndCalibrationOfClicksDrawnFromTheirProbabilities) {
  const Coverage c = click_coverage(-1, 1, kOptions);
  EXPECT_GT(c.truth, 0.7);
  EXPECT_LT(c.truth, 0.8);
  EXPECT_GE(c.delong, 0.93);
  EXPECT_LE(c.delong, 0.98);
  EXPECT_GE(c.bootstrap, 0.93);
  EXPECT_LE(c.bootstrap, 0.98);
  EXPECT_GE(c.bands, 0.93);
}

}  // namespace
}  // namespace winnow
