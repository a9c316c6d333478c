// Losses against each other and against values worked out by hand. optest checks gradients and kernels.
#include "ops/losses.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/program.h"

namespace winnow {
namespace {

using Floats = std::vector<float>;

Tensor vec(const Floats& x) { return Tensor::of(x, {static_cast<int64_t>(x.size())}); }
Tensor mat(const Floats& x, int64_t rows) { return Tensor::of(x, {rows, static_cast<int64_t>(x.size()) / rows}); }
Tensor ids(const std::vector<int64_t>& x) { return Tensor::of(x, {static_cast<int64_t>(x.size())}); }

double loss_of(const std::string& op, const std::vector<Tensor>& in, const Attrs& attrs = {}) {
  return static_cast<double>(run_eager(op, in, attrs)[0].item<float>());
}
double softplus(double x) { return std::log1p(std::exp(x)); }

const Floats kLogits = {-2, 0.5f, 3, -0.1f, 1.5f}, kLabels = {0, 1, 1, 1, 0}, kWeights = {1, 2, 0, 0.5f, 3};

TEST(LossesTest, BceIsTheWeightedMeanOfNegativeLogLikelihoods) {
  double total = 0, weight = 0;
  for (size_t i = 0; i < kLogits.size(); ++i) {
    const double x = kLogits[i], p = 1 / (1 + std::exp(-x));
    total += kWeights[i] * -(kLabels[i] * std::log(p) + (1 - kLabels[i]) * std::log(1 - p));
    weight += kWeights[i];
  }
  EXPECT_NEAR(loss_of("bce_with_logits", {vec(kLogits), vec(kLabels), vec(kWeights)}), total / weight, 1e-6);
}
TEST(LossesTest, BceStaysFiniteFarOut) {
  EXPECT_NEAR(loss_of("bce_with_logits", {vec({1000, -1000}), vec({0, 1})}), 1000, 1e-3);
  EXPECT_EQ(loss_of("bce_with_logits", {vec({1000, -1000}), vec({1, 0})}), 0);
}
TEST(LossesTest, LabelSmoothingMovesBinaryLabelsTowardsOneHalf) {
  const Floats smoothed = {0.1f, 0.9f, 0.9f, 0.9f, 0.1f};
  EXPECT_NEAR(loss_of("bce_with_logits", {vec(kLogits), vec(kLabels)}, {{"label_smoothing", 0.2}}),
              loss_of("bce_with_logits", {vec(kLogits), vec(smoothed)}), 1e-6);
}
TEST(LossesTest, FocalWithoutFocusAndClassWeightsIsBce) {
  const std::vector<Tensor> in = {vec(kLogits), vec(kLabels), vec(kWeights)};
  EXPECT_NEAR(loss_of("focal", in, {{"gamma", 0.0}, {"alpha", -1.0}}), loss_of("bce_with_logits", in), 1e-6);
}
TEST(LossesTest, FocalWeighsDownEasyExamples) {
  const double p = 1 / (1 + std::exp(-3.0));
  EXPECT_NEAR(loss_of("focal", {vec({3}), vec({1})}), 0.25 * (1 - p) * (1 - p) * -std::log(p), 1e-9);
  EXPECT_NEAR(loss_of("focal", {vec({3}), vec({0})}), 0.75 * p * p * -std::log(1 - p), 1e-6);
}
TEST(LossesTest, RegressionLossesByHand) {
  const std::vector<Tensor> in = {vec({1, -2, 4}), vec({0.5f, 1, 4}), vec({2, 1, 1})};
  EXPECT_NEAR(loss_of("mse", in), (2 * 0.25 + 9 + 0) / 4, 1e-6);
  EXPECT_NEAR(loss_of("mae", in), (2 * 0.5 + 3 + 0) / 4, 1e-6);
  EXPECT_NEAR(loss_of("huber", in, {{"delta", 1.0}}), (2 * 0.125 + 2.5 + 0) / 4, 1e-6);
  EXPECT_NEAR(loss_of("huber", in, {{"delta", 100.0}}), loss_of("mse", in) / 2, 1e-6);
}
TEST(LossesTest, HingeTakesLabelsOfZeroAndOne) {
  EXPECT_NEAR(loss_of("hinge", {vec({0.25f, 2, -3, 0.5f}), vec({1, 1, 0, 0})}), (0.75 + 0 + 0 + 1.5) / 4, 1e-6);
}

TEST(LossesTest, CrossEntropyIsNegativeLogSoftmaxOfTheLabel) {
  const double z = std::exp(1.0) + std::exp(2.0) + std::exp(3.0);
  EXPECT_NEAR(loss_of("softmax_cross_entropy", {mat({1, 2, 3, 3, 2, 1}, 2), ids({2, 1})}), std::log(z) - (3 + 2) / 2.0,
              1e-6);
  EXPECT_NEAR(loss_of("softmax_cross_entropy", {mat({1, 2, 3}, 1), ids({2})}, {{"label_smoothing", 0.3}}),
              std::log(z) - 0.7 * 3 - 0.3 * 2, 1e-6);
}
TEST(LossesTest, MissingLabelsDoNotCount) {
  const Tensor logits = mat({1, 2, 3, 9, 9, 0, 0, 1, 0}, 3);
  EXPECT_NEAR(loss_of("softmax_cross_entropy", {logits, ids({0, -1, 7})}),
              loss_of("softmax_cross_entropy", {mat({1, 2, 3}, 1), ids({0})}), 1e-6);
  EXPECT_EQ(loss_of("softmax_cross_entropy", {logits, ids({-1, -1, 3})}), 0);
}

TEST(LossesTest, BprOfOneNegativeIsBceOfTheDifference) {
  const Floats positives = {1, -0.5f, 2}, negatives = {0.25f, 0.75f, -1};
  Floats difference;
  for (size_t i = 0; i < 3; ++i) difference.push_back(positives[i] - negatives[i]);
  const double expected = loss_of("bce_with_logits", {vec(difference), vec({1, 1, 1}), vec({1, 2, 3})});
  EXPECT_NEAR(loss_of("bpr", {vec(positives), vec(negatives), vec({1, 2, 3})}), expected, 1e-6);
  EXPECT_NEAR(loss_of("bpr", {vec(positives), mat(negatives, 3), vec({1, 2, 3})}), expected, 1e-6);
}
TEST(LossesTest, BprAveragesOverNegatives) {
  EXPECT_NEAR(loss_of("bpr", {vec({1}), mat({0, 3}, 1)}), (softplus(-1) + softplus(2)) / 2, 1e-6);
}

TEST(LossesTest, SampledSoftmaxOfAllClassesIsCrossEntropy) {
  EXPECT_NEAR(loss_of("sampled_softmax", {vec({2, 1}), mat({1, 3, -4, 0}, 2), vec({1, 3})}),
              loss_of("softmax_cross_entropy", {mat({2, 1, 3, 1, -4, 0}, 2), ids({0, 0}), vec({1, 3})}), 1e-6);
}
TEST(LossesTest, SampledSoftmaxSubtractsLogQ) {
  EXPECT_NEAR(loss_of("sampled_softmax", {vec({2}), mat({1, 3}, 1), vec({-1}), mat({-2, 0.5f}, 1)}),
              loss_of("sampled_softmax", {vec({3}), mat({3, 2.5f}, 1)}), 1e-6);
}
TEST(LossesTest, InfiniteLogQTakesANegativeOut) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<Tensor> in = {vec({2}), mat({1, 3}, 1), vec({0}), mat({0, infinity}, 1)};
  EXPECT_NEAR(loss_of("sampled_softmax", in), loss_of("sampled_softmax", {vec({2}), mat({1}, 1)}), 1e-6);
  std::vector<Tensor> with_gradient = {Tensor::of<float>({1}, {})};
  with_gradient.insert(with_gradient.end(), in.begin(), in.end());
  EXPECT_EQ(run_eager("sampled_softmax_grad", with_gradient)[1].data<float>()[1], 0);
}

TEST(LossesTest, ExamplesWithoutWeightMayHoldAnything) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const char* op : {"bce_with_logits", "mse", "mae", "huber", "hinge", "focal"}) {
    const double clean = loss_of(op, {vec({0.3f, 0.6f}), vec({1, 0}), vec({1, 1})});
    EXPECT_NEAR(loss_of(op, {vec({0.3f, nan, 0.6f}), vec({1, 0, 0}), vec({1, 0, 1})}), clean, 1e-6) << op;
    EXPECT_EQ(loss_of(op, {vec({0.3f, 0.6f}), vec({1, 0}), vec({0, 0})}), 0) << op;
    EXPECT_TRUE(std::isnan(loss_of(op, {vec({0.3f, nan}), vec({1, 0}), vec({1, 1})}))) << op;
    const Tensor in[] = {Tensor::of<float>({1}, {}), vec({0.3f, nan, 0.6f}), vec({1, 0, 0}), vec({1, 0, 1})};
    EXPECT_EQ(run_eager(std::string(op) + "_grad", in)[0].data<float>()[1], 0) << op;
  }
}

TEST(LossesTest, BackwardRefusesAGradientThatDoesNotExist) {
  Graph graph;
  const Value x = graph.input("x", {DType::F32, {4}}), label = graph.input("label", {DType::F32, {4}});
  graph.require_grad(x);
  graph.require_grad(label);
  try {
    graph.backward(bce_with_logits(x, label));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("bce_with_logits(): input 1 requires a gradient"), std::string::npos)
        << error.what();
  }
  graph.backward(mse(x, label));
  EXPECT_TRUE(graph.gradient(x) && graph.gradient(label));
}

}  // namespace
}  // namespace winnow
