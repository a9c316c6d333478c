// core/math.h: error in units in the last place against the standard library in double, over a sweep of all floats.
#include "core/math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

namespace winnow {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// |y - exact| in units of the spacing of floats at `exact`; subnormal results in units of 2^-149.
double ulps(float y, double exact) {
  const float rounded = static_cast<float>(exact);
  if (std::isnan(exact)) return std::isnan(y) ? 0 : kInf;
  if (std::isinf(rounded) || std::isinf(y)) return y == rounded ? 0 : kInf;
  int exponent = 0;
  std::frexp(exact, &exponent);
  return std::fabs(y - exact) / std::ldexp(1.0, std::max(exponent, -125) - 24);
}

struct Worst {
  double error = 0;
  float at = 0;
};

// Every stride-th float in [low, high] and its negative where that lies in [low, high], through a vectorised loop.
template <class F, class G>
Worst sweep(float low, float high, F&& f, G&& exact) {
  constexpr uint32_t kStride = 251, kBatch = 1024;
  std::vector<float> x, y(kBatch);
  Worst worst;
  const auto flush = [&] {
    const auto n = static_cast<int64_t>(x.size());
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[static_cast<size_t>(i)] = f(x[static_cast<size_t>(i)]);
    for (size_t i = 0; i < x.size(); ++i) {
      const double e = ulps(y[i], exact(static_cast<double>(x[i])));
      if (e > worst.error) worst = {e, x[i]};
    }
    x.clear();
  };
  for (uint64_t b = 0; b < 0x100000000; b += kStride) {
    const float v = std::bit_cast<float>(static_cast<uint32_t>(b));
    if (v >= low && v <= high) x.push_back(v);
    if (x.size() == kBatch) flush();
  }
  flush();
  return worst;
}

void expect_within(double limit, const Worst& worst) {
  EXPECT_LE(worst.error, limit) << "at x = " << worst.at;
  std::printf("worst error %.3f ULP at x = %.9g\n", worst.error, static_cast<double>(worst.at));
}

TEST(MathTest, ExpIsWithinTwoUlps) {
  expect_within(2, sweep(
                       -kInf, kInf, [](float x) { return math::exp(x); }, [](double x) { return std::exp(x); }));
}
TEST(MathTest, LogIsWithinTwoUlps) {
  expect_within(2, sweep(
                       -kInf, kInf, [](float x) { return math::log(x); }, [](double x) { return std::log(x); }));
}
TEST(MathTest, Log1pOfNonNegativesIsWithinTwoUlps) {
  expect_within(2, sweep(
                       0, kInf, [](float x) { return math::log1p(x); }, [](double x) { return std::log1p(x); }));
}
TEST(MathTest, SigmoidIsWithinTwoUlps) {
  expect_within(2,
                sweep(
                    -kInf, kInf, [](float x) { return math::sigmoid(x); }, [](double x) { return math::sigmoid(x); }));
}
TEST(MathTest, SoftplusIsWithinTwoUlps) {
  expect_within(
      2, sweep(
             -kInf, kInf, [](float x) { return math::softplus(x); }, [](double x) { return math::softplus(x); }));
}
TEST(MathTest, TanhIsWithinTwoUlps) {
  expect_within(2, sweep(
                       -kInf, kInf, [](float x) { return math::tanh(x); }, [](double x) { return std::tanh(x); }));
}
TEST(MathTest, ErfIsWithinTwoUlps) {
  expect_within(2, sweep(
                       -kInf, kInf, [](float x) { return math::erf(x); }, [](double x) { return std::erf(x); }));
}
TEST(MathTest, NormalDistributionIsWithinSixUlpsInBothTails) {
  expect_within(
      5, sweep(
             -kInf, kInf, [](float x) { return math::normal_cdf(x); }, [](double x) { return math::normal_cdf(x); }));
}
TEST(MathTest, DoubleSigmoidAndSoftplusMatchTheirDefinition) {
  for (const double x : {-30.0, -2.5, -1e-3, 0.0, 0.7, 20.0}) {
    EXPECT_NEAR(math::sigmoid(x), 1 / (1 + std::exp(-x)), 1e-15 * math::sigmoid(x) + 1e-18);
    EXPECT_NEAR(math::softplus(x), std::log1p(std::exp(x)), 4e-16 * math::softplus(x));
    EXPECT_NEAR(math::normal_cdf(x), 0.5 * std::erfc(-x / std::sqrt(2.0)), 1e-12 * math::normal_cdf(x));
  }
}

TEST(MathTest, NanPropagates) {
  EXPECT_TRUE(std::isnan(math::exp(kNan)) && std::isnan(math::log(kNan)) && std::isnan(math::log1p(kNan)));
  EXPECT_TRUE(std::isnan(math::sigmoid(kNan)) && std::isnan(math::softplus(kNan)) && std::isnan(math::tanh(kNan)));
  EXPECT_TRUE(std::isnan(math::erf(kNan)) && std::isnan(math::normal_cdf(kNan)) && std::isnan(math::normal_pdf(kNan)));
  EXPECT_TRUE(std::isnan(math::max(kNan, 1.0f)) && std::isnan(math::max(1.0f, kNan)));
  EXPECT_TRUE(std::isnan(math::min(kNan, 1.0f)) && std::isnan(math::min(1.0f, kNan)));
}
TEST(MathTest, LimitsAreExact) {
  EXPECT_EQ(math::exp(kInf), kInf);
  EXPECT_EQ(math::exp(89.0f), kInf);
  EXPECT_EQ(math::exp(-kInf), 0.0f);
  EXPECT_EQ(math::exp(0.0f), 1.0f);
  EXPECT_EQ(math::log(0.0f), -kInf);
  EXPECT_EQ(math::log(-0.0f), -kInf);
  EXPECT_EQ(math::log(kInf), kInf);
  EXPECT_EQ(math::log(1.0f), 0.0f);
  EXPECT_TRUE(std::isnan(math::log(-1.0f)));
  EXPECT_EQ(math::log1p(kInf), kInf);
  EXPECT_EQ(math::log1p(0.0f), 0.0f);
  EXPECT_EQ(math::sigmoid(kInf), 1.0f);
  EXPECT_EQ(math::sigmoid(-kInf), 0.0f);
  EXPECT_EQ(math::softplus(kInf), kInf);
  EXPECT_EQ(math::softplus(-kInf), 0.0f);
  EXPECT_EQ(math::tanh(kInf), 1.0f);
  EXPECT_EQ(math::tanh(-kInf), -1.0f);
  EXPECT_EQ(math::erf(-kInf), -1.0f);
  EXPECT_EQ(math::normal_cdf(-kInf), 0.0f);
  EXPECT_EQ(math::normal_cdf(kInf), 1.0f);
}

}  // namespace
}  // namespace winnow
