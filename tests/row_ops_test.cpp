// Reductions, softmax and normalisations against formulas written out here, independent of the kernels' code.
#include <gtest/gtest.h>

#include <cmath>

#include "core/program.h"
#include "core/rng.h"
#include "ops/batch_norm.h"
#include "ops/norm.h"
#include "ops/reduce.h"
#include "ops/softmax.h"

namespace winnow {
namespace {

using List = std::vector<int64_t>;

Tensor random(const Shape& shape, uint64_t seed, double scale = 1, double shift = 0) {
  Tensor t({DType::F32, shape});
  Rng rng(seed);
  for (float& x : t.span<float>()) x = static_cast<float>(shift + scale * rng.normal());
  return t;
}
Tensor run(const std::string& op, const std::vector<Tensor>& in, const Attrs& attrs = {}) {
  return run_eager(op, in, attrs)[0];
}

// The element of `small` that index i of `large` maps to when the flagged axes are collapsed to extent 1.
int64_t collapsed(const Shape& large, int64_t i, unsigned flags) {
  int64_t at = 0, stride = 1;
  for (int a = large.rank() - 1; a >= 0; --a) {
    if ((flags >> a & 1) == 0) {
      at += i % large[a] * stride;
      stride *= large[a];
    }
    i /= large[a];
  }
  return at;
}

TEST(Reduce, EverySetOfAxesGivesTheSumOverTheirIndices) {
  for (const Shape& shape : {Shape{3, 4, 5, 2}, Shape{2, 1, 70, 3}, Shape{1, 9, 1, 300}}) {
    const Tensor x = random(shape, 1);
    for (unsigned flags = 1; flags < 16; ++flags) {
      List axes;
      for (int a = 0; a < 4; ++a)
        if (flags >> a & 1) axes.push_back(a - (a % 2 == 0 ? 0 : 4));
      const Attrs attrs{{"axes", axes}, {"keepdims", int64_t{flags & 1}}};
      const Tensor sum = run("sum", {x}, attrs), max = run("max", {x}, attrs);
      std::vector<double> expected(static_cast<size_t>(sum.numel())), largest(expected.size(), -INFINITY);
      for (int64_t i = 0; i < x.numel(); ++i) {
        const auto o = static_cast<size_t>(collapsed(shape, i, flags));
        expected[o] += static_cast<double>(x.span<float>()[static_cast<size_t>(i)]);
        largest[o] = std::max(largest[o], static_cast<double>(x.span<float>()[static_cast<size_t>(i)]));
      }
      for (size_t o = 0; o < expected.size(); ++o) {
        ASSERT_NEAR(sum.span<float>()[o], expected[o], 1e-4) << shape.str() << " flags " << flags;
        ASSERT_EQ(static_cast<double>(max.span<float>()[o]), largest[o]) << shape.str() << " flags " << flags;
      }
    }
  }
}

TEST(Reduce, BroadcastRepeatsAndSumToIsItsAdjoint) {
  const Shape large{3, 4, 5, 2};
  const Tensor g = random(large, 2);
  for (unsigned flags = 0; flags < 16; ++flags) {
    Shape small = large;
    for (int a = 0; a < 4; ++a)
      if (flags >> a & 1) small = small.with(a, 1);
    const Tensor x = random(small, 3);
    const Tensor y = run("broadcast_to", {x}, {{"shape", List{3, 4, 5, 2}}});
    const Tensor s = run("sum_to", {g}, {{"shape", List(small.dims().begin(), small.dims().end())}});
    double left = 0, right = 0;
    for (int64_t i = 0; i < y.numel(); ++i) {
      const auto at = static_cast<size_t>(i);
      ASSERT_EQ(y.span<float>()[at], x.span<float>()[static_cast<size_t>(collapsed(large, i, flags))]);
      left += static_cast<double>(y.span<float>()[at] * g.span<float>()[at]);
    }
    for (size_t o = 0; o < static_cast<size_t>(x.numel()); ++o)
      right += static_cast<double>(x.span<float>()[o] * s.span<float>()[o]);
    EXPECT_NEAR(left, right, 1e-4);
  }
}

TEST(Softmax, RowsMatchTheFormulaAndAMaskedRowIsZero) {
  const float inf = std::numeric_limits<float>::infinity();
  Tensor x = random({3, 41}, 4, 10);
  for (int64_t j = 0; j < 41; ++j) x.data<float>()[41 + j] = -inf;
  x.data<float>()[2] = -inf;
  const Tensor y = run("softmax", {x}), l = run("log_softmax", {x}), s = run("logsumexp", {x});
  for (int64_t r = 0; r < 3; ++r) {
    double sum = 0;
    for (int64_t j = 0; j < 41; ++j) sum += std::exp(static_cast<double>(x.data<float>()[r * 41 + j]));
    for (int64_t j = 0; j < 41; ++j) {
      const double e = std::exp(static_cast<double>(x.data<float>()[r * 41 + j])), p = sum == 0 ? 0 : e / sum;
      EXPECT_NEAR(y.data<float>()[r * 41 + j], p, 1e-6);
      if (p > 0) { EXPECT_NEAR(l.data<float>()[r * 41 + j], std::log(p), 1e-4); }
    }
    if (sum > 0) { EXPECT_NEAR(s.data<float>()[r], std::log(sum), 1e-4); }
  }
  EXPECT_EQ(s.data<float>()[1], -inf);
}

TEST(Norm, LayerAndRmsNormMatchTheFormula) {
  const int64_t n = 37;
  const Tensor x = random({5, n}, 5, 2, 3), gamma = random({n}, 6), beta = random({n}, 7);
  const Tensor layer = run("layer_norm", {x, gamma, beta}, {{"eps", 1e-3}}),
               rms = run("rms_norm", {x, gamma}, {{"eps", 1e-3}});
  for (int64_t r = 0; r < 5; ++r) {
    double mean = 0, var = 0, square = 0;
    const float* row = x.data<float>() + r * n;
    for (int64_t j = 0; j < n; ++j) mean += static_cast<double>(row[j]) / n;
    for (int64_t j = 0; j < n; ++j) var += std::pow(static_cast<double>(row[j]) - mean, 2) / n;
    for (int64_t j = 0; j < n; ++j) square += std::pow(static_cast<double>(row[j]), 2) / n;
    for (int64_t j = 0; j < n; ++j) {
      const double g = static_cast<double>(gamma.data<float>()[j]), v = static_cast<double>(row[j]);
      EXPECT_NEAR(layer.data<float>()[r * n + j],
                  (v - mean) / std::sqrt(var + 1e-3) * g + static_cast<double>(beta.data<float>()[j]), 2e-6);
      EXPECT_NEAR(rms.data<float>()[r * n + j], v / std::sqrt(square + 1e-3) * g, 2e-6);
    }
  }
}

struct BatchNormCase {
  Tensor x = random({150, 9}, 8, 2, 3), gamma = random({9}, 9), beta = random({9}, 10),
         weight = Tensor::zeros({DType::F32, {150}});
  Tensor mean = random({9}, 11), var = random({9}, 12, 0.1, 1);
  std::vector<Tensor> run() {
    return run_eager("batch_norm", std::vector{x, gamma, beta, weight, mean, var}, {{"momentum", 0.2}, {"eps", 1e-3}});
  }
};

TEST(BatchNorm, PaddingRowsDoNotEnterTheStatistics) {
  BatchNormCase c;
  const Tensor mean = c.mean.clone(), var = c.var.clone();
  std::vector<int64_t> live;
  for (int64_t r = 0; r < 150; ++r)
    if (r % 3 != 1)
      c.weight.data<float>()[r] = 0.5f, live.push_back(r);
    else
      c.x.data<float>()[r * 9] = 1e30f;
  const Tensor y = c.run()[0];
  const double n = static_cast<double>(live.size());
  for (int64_t j = 0; j < 9; ++j) {
    double m = 0, m2 = 0;
    for (const int64_t r : live) m += static_cast<double>(c.x.data<float>()[r * 9 + j]) / n;
    for (const int64_t r : live) m2 += std::pow(static_cast<double>(c.x.data<float>()[r * 9 + j]) - m, 2);
    const double rstd = 1 / std::sqrt(m2 / n + 1e-3);
    for (const int64_t r : live)
      EXPECT_NEAR(y.data<float>()[r * 9 + j],
                  (static_cast<double>(c.x.data<float>()[r * 9 + j]) - m) * rstd *
                          static_cast<double>(c.gamma.data<float>()[j]) +
                      static_cast<double>(c.beta.data<float>()[j]),
                  5e-6);
    EXPECT_NEAR(c.mean.data<float>()[j], 0.8 * static_cast<double>(mean.data<float>()[j]) + 0.2 * m, 1e-6);
    EXPECT_NEAR(c.var.data<float>()[j], 0.8 * static_cast<double>(var.data<float>()[j]) + 0.2 * m2 / (n - 1), 5e-6);
  }
}

TEST(BatchNorm, WithoutALiveRowTheRunningStatisticsAreUsedAndStay) {
  BatchNormCase c;
  const Tensor mean = c.mean.clone(), var = c.var.clone(), y = c.run()[0];
  const Tensor expected = run("batch_norm_inference", {c.x, c.gamma, c.beta, mean, var}, {{"eps", 1e-3}});
  for (size_t i = 0; i < 9; ++i) {
    EXPECT_EQ(c.mean.span<float>()[i], mean.span<float>()[i]);
    EXPECT_EQ(c.var.span<float>()[i], var.span<float>()[i]);
  }
  for (size_t i = 0; i < 150 * 9; ++i) EXPECT_NEAR(y.span<float>()[i], expected.span<float>()[i], 1e-5);
}

TEST(BatchNorm, AllRowsAreLiveWithoutWeights) {
  Graph graph;
  const auto variable = [](const char* name, float fill) {
    return std::make_shared<Variable>(Variable{name, Tensor::of({fill, fill}, {2})});
  };
  const auto mean = variable("mean", 0), var = variable("var", 1);
  const Value x = graph.input("x", {DType::F32, {4, 2}});
  graph.output("y", batch_norm(x, graph.persistent(variable("gamma", 1)), graph.persistent(variable("beta", 0)), {},
                               graph.persistent(mean), graph.persistent(var), true, 1.0, 1e-5));
  Program program = compile(graph);
  const auto stream = make_stream({});
  program.run(std::vector{Tensor::of({1.0f, 0.0f, 2.0f, 0.0f, 3.0f, 4.0f, 6.0f, 4.0f}, {4, 2})}, *stream);
  EXPECT_FLOAT_EQ(mean->value.data<float>()[0], 3);
  EXPECT_FLOAT_EQ(mean->value.data<float>()[1], 2);
  EXPECT_FLOAT_EQ(var->value.data<float>()[0], 14.0f / 3);
  EXPECT_NEAR(program.output("y").data<float>()[1], -1, 1e-5);
}

}  // namespace
}  // namespace winnow
