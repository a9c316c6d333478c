#include "ops/dropout.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/parallel.h"
#include "core/program.h"
#include "ops/detail/dropout_bits.h"

namespace winnow {
namespace {

Tensor ones(int64_t n) {
  Tensor t({DType::F32, {n}});
  for (float& x : t.span<float>()) x = 1;
  return t;
}
Tensor step(int64_t value) { return Tensor::of<int64_t>({value}, {}); }
Attrs attrs(double p, int64_t stream = 0) { return {{"p", p}, {"seed", int64_t{42}}, {"stream", stream}}; }

Tensor dropped(const Tensor& x, int64_t at, const Attrs& a, const std::string& op = "dropout") {
  const Tensor in[] = {x, step(at)};
  return run_eager(op, in, a)[0];
}
int64_t agreeing(const Tensor& a, const Tensor& b) {
  int64_t n = 0;
  for (int64_t i = 0; i < a.numel(); ++i) n += (a.data<float>()[i] == 0) == (b.data<float>()[i] == 0);
  return n;
}

TEST(DropoutTest, KeepsTheExpectedShareAndScalesByItsInverse) {
  constexpr int64_t kN = 1 << 20;
  for (const double p : {0.1, 0.25, 0.5, 0.9}) {
    const Tensor y = dropped(ones(kN), 5, attrs(p));
    int64_t kept = 0;
    for (const float v : y.span<float>()) {
      if (v == 0) continue;
      ++kept;
      ASSERT_NEAR(v, 1 / (1 - p), 1e-4 / (1 - p));
    }
    const double deviation = std::sqrt(kN * p * (1 - p));
    EXPECT_NEAR(static_cast<double>(kept), kN * (1 - p), 5 * deviation + kN * 0x1p-17) << "p = " << p;
  }
}

TEST(DropoutTest, NeighbouringElementsAreDroppedIndependently) {
  const Tensor y = dropped(ones(1 << 20), 1, attrs(0.5));
  for (const int64_t lag : {1, 2, 4, 16, 32, 64}) {
    int64_t both = 0;
    for (int64_t i = 0; i + lag < y.numel(); ++i) both += y.data<float>()[i] == 0 && y.data<float>()[i + lag] == 0;
    EXPECT_NEAR(static_cast<double>(both) / static_cast<double>(y.numel()), 0.25, 0.003) << "lag " << lag;
  }
}

TEST(DropoutTest, StepsAndStreamsHaveTheirOwnMasks) {
  const Tensor x = ones(1 << 16), y = dropped(x, 1, attrs(0.5));
  EXPECT_EQ(agreeing(y, dropped(x, 1, attrs(0.5))), x.numel());
  EXPECT_NEAR(static_cast<double>(agreeing(y, dropped(x, 2, attrs(0.5)))), 32768, 700);
  EXPECT_NEAR(static_cast<double>(agreeing(y, dropped(x, 1, attrs(0.5, 1)))), 32768, 700);
}

TEST(DropoutTest, GradientUsesTheMaskOfTheForwardPass) {
  const Tensor x = ones(10007);
  EXPECT_EQ(agreeing(dropped(x, 9, attrs(0.3)), dropped(x, 9, attrs(0.3), "dropout_grad")), x.numel());
}

TEST(DropoutTest, MaskDoesNotDependOnThreads) {
  const int before = num_threads();
  const Tensor x = ones(100003);
  set_num_threads(1);
  const Tensor y = dropped(x, 4, attrs(0.2));
  for (const int threads : {2, 3, 7}) {
    set_num_threads(threads);
    EXPECT_EQ(agreeing(y, dropped(x, 4, attrs(0.2))), x.numel());
  }
  set_num_threads(before);
}

TEST(DropoutTest, GroupsOfBitsAreThoseOfPhilox) {
  const Philox philox{0x123456789abcdef0u, 0x55aa00000007u};
  uint16_t bits[64];
  for (const int64_t group : {int64_t{0}, int64_t{1}, int64_t{536870911}, int64_t{536870912}, int64_t{1} << 40}) {
    detail::dropout_bits_of_group(philox, 0x300000004u, group, bits);
    for (int64_t e = 0; e < 64; ++e) ASSERT_EQ(bits[e], detail::dropout_bits(philox, 0x300000004u, 64 * group + e));
  }
}

TEST(DropoutTest, ZeroProbabilityRecordsNothing) {
  Graph graph;
  const Value x = graph.input("x", {DType::F32, {4}}), s = graph.input("step", {DType::I64, {}});
  EXPECT_EQ(dropout(x, 0, s), x);
  EXPECT_TRUE(graph.nodes().empty());
  EXPECT_THROW(dropout(x, 1, s), ShapeError);
  EXPECT_THROW(dropout(x, std::nan(""), s), ShapeError);
}

TEST(DropoutTest, EachNodeHasItsOwnStream) {
  Graph graph;
  const Value x = graph.input("x", {DType::F32, {4}}), s = graph.input("step", {DType::I64, {}});
  dropout(x, 0.5, s), dropout(x, 0.5, s);
  EXPECT_NE(graph.nodes()[0].attrs.integer("stream"), graph.nodes()[1].attrs.integer("stream"));
}

}  // namespace
}  // namespace winnow
