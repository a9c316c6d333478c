// What optest cannot derive from the definitions of pointwise operators: special values, broadcasting by hand.
#include "ops/pointwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/program.h"
#include "ops/cast.h"
#include "ops/pointwise.def.h"
#include "ops/where.h"

namespace winnow {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> run(const std::string& op, const std::vector<Tensor>& in, const Attrs& attrs = {}) {
  const Tensor y = run_eager(op, in, attrs)[0];
  return {y.data<float>(), y.data<float>() + y.numel()};
}
Tensor vec(const std::vector<float>& x) { return Tensor::of(x, {static_cast<int64_t>(x.size())}); }

TEST(PointwiseTest, EveryUnaryOperatorPropagatesNan) {
  const Tensor nan = vec(std::vector<float>(17, kNan));  // a vectorised part and a tail
  [&]<class... Op>(pointwise::List<Op...>) {
    for (const char* op : {Op::kName...})
      for (const float y : run(op, {nan})) EXPECT_TRUE(std::isnan(y)) << op;
  }(pointwise::UnaryOperators{});
}
TEST(PointwiseTest, EveryBinaryOperatorPropagatesNanOfEitherSide) {
  const Tensor nan = vec({kNan, 1, kNan}), number = vec({2, kNan, kNan});
  [&]<class... Op>(pointwise::List<Op...>) {
    for (const char* op : {Op::kName...})
      for (const float y : run(op, {nan, number})) EXPECT_TRUE(std::isnan(y)) << op;
  }(pointwise::BinaryOperators{});
}
TEST(PointwiseTest, InfinitiesHaveTheirLimits) {
  EXPECT_EQ(run("relu", {vec({kInf, -kInf})}), (std::vector<float>{kInf, 0}));
  EXPECT_EQ(run("sigmoid", {vec({kInf, -kInf})}), (std::vector<float>{1, 0}));
  EXPECT_EQ(run("tanh", {vec({kInf, -kInf})}), (std::vector<float>{1, -1}));
  EXPECT_EQ(run("exp", {vec({kInf, -kInf})}), (std::vector<float>{kInf, 0}));
  EXPECT_EQ(run("softplus", {vec({kInf, -kInf})}), (std::vector<float>{kInf, 0}));
  EXPECT_EQ(run("log", {vec({kInf, 0})}), (std::vector<float>{kInf, -kInf}));
  EXPECT_EQ(run("clamp", {vec({kInf, -kInf})}, {{"low", -1.0}, {"high", 2.0}}), (std::vector<float>{2, -1}));
}
TEST(PointwiseTest, KnownValues) {
  EXPECT_NEAR(run("gelu", {vec({1})})[0], 0.84134474607, 1e-6);
  EXPECT_NEAR(run("gelu_tanh", {vec({1})})[0], 0.84119199, 1e-6);
  EXPECT_NEAR(run("silu", {vec({2})})[0], 2 / (1 + std::exp(-2.0)), 1e-6);
  EXPECT_EQ(run("leaky_relu", {vec({-4, 4})}, {{"slope", 0.25}}), (std::vector<float>{-1, 4}));
  EXPECT_EQ(run("affine", {vec({2})}, {{"scale", 3.0}, {"shift", -1.0}}), (std::vector<float>{5}));
  EXPECT_EQ(run("clamp", {vec({-5, 5})}), (std::vector<float>{-5, 5}));  // no bounds given
}
TEST(PointwiseTest, BroadcastsAsNumpyDoes) {
  const Tensor a = Tensor::of<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_EQ(run("sub", {a, Tensor::of<float>({1, 2, 3}, {3})}), (std::vector<float>{0, 0, 0, 3, 3, 3}));
  EXPECT_EQ(run("sub", {a, Tensor::of<float>({1, 4}, {2, 1})}), (std::vector<float>{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(run("sub", {Tensor::of<float>({10}, {}), a}), (std::vector<float>{9, 8, 7, 6, 5, 4}));
  EXPECT_EQ(run("mul", {Tensor::of<float>({1, 2}, {2, 1}), Tensor::of<float>({3, 4}, {1, 2})}),
            (std::vector<float>{3, 4, 6, 8}));
}
TEST(PointwiseTest, EqualOperandsOfAMaximumShareItsGradient) {
  const Tensor in[] = {vec({1, 1, 1}), vec({2, 3, 2}), vec({2, 1, 4})};
  EXPECT_EQ(run("maximum_grad", {in[0], in[1], in[2]}, {{"wrt", int64_t{0}}}), (std::vector<float>{0.5f, 1, 0}));
  EXPECT_EQ(run("maximum_grad", {in[0], in[1], in[2]}, {{"wrt", int64_t{1}}}), (std::vector<float>{0.5f, 0, 1}));
  EXPECT_EQ(run("minimum_grad", {in[0], in[1], in[2]}, {{"wrt", int64_t{0}}}), (std::vector<float>{0.5f, 0, 1}));
}
TEST(PointwiseTest, WhereDoesNotMixInTheOtherOperand) {
  const Tensor mask = Tensor::of<uint8_t>({1, 0}, {2});
  EXPECT_EQ(run("where", {mask, vec({1, kNan}), vec({kNan, 2})}), (std::vector<float>{1, 2}));
}
TEST(PointwiseTest, CastSaturatesAndTakesNanToZero) {
  const Tensor in[] = {vec({kNan, 3e9f, -3e9f, -1.9f, kInf})};
  const Tensor y = run_eager("cast", in, {{"dtype", std::string("i32")}})[0];
  const std::vector<int32_t> got(y.data<int32_t>(), y.data<int32_t>() + y.numel());
  EXPECT_EQ(got, (std::vector<int32_t>{0, INT32_MAX, INT32_MIN, -1, INT32_MAX}));
}
TEST(PointwiseTest, CastToTheSameTypeRecordsNothing) {
  Graph graph;
  const Value x = graph.input("x", {DType::F32, {4}});
  EXPECT_EQ(cast(x, DType::F32), x);
  EXPECT_EQ(cast(x, DType::F64).dtype(), DType::F64);
  EXPECT_EQ(graph.nodes().size(), 1u);
}
TEST(PointwiseTest, GradientsOfGradientsOfPiecewiseLinearOperatorsExist) {
  Graph graph;
  const Value x = graph.input("x", {DType::F32, {4}}), seed = graph.input("seed", {DType::F32, {4}});
  graph.require_grad(x);
  graph.require_grad(seed);
  graph.backward({{relu(x), seed}});
  const Value dx = graph.gradient(x);
  graph.backward({{dx, seed}});
  EXPECT_TRUE(graph.gradient(seed));
  EXPECT_THROW(
      {
        Graph other;
        const Value v = other.input("x", {DType::F32, {4}});
        other.require_grad(v);
        const Value y = sigmoid(v);
        other.backward({{y, y}});
        other.backward({{other.gradient(v), y}});
      },
      Error);
}

}  // namespace
}  // namespace winnow
