// What optest cannot see of the dense products: that compile() takes over what follows a product, in the right order
// and with the right result, and that oneDNN's bits do not depend on the team.
#include "ops/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/cpu/onednn_matmul.h"
#include "core/parallel.h"
#include "core/program.h"
#include "ops/binary.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"

namespace winnow {
namespace {

TensorSpec f32_spec(const Shape& shape) { return {DType::F32, shape}; }

Tensor filled(const Shape& shape, unsigned seed) {
  Tensor t(f32_spec(shape));
  for (float& x : t.span<float>())
    x = static_cast<float>((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 23) - 1.f;
  return t;
}

struct Feeds {
  std::vector<Tensor> tensors;
  Value input(Graph& g, const Shape& shape) {
    tensors.push_back(filled(shape, static_cast<unsigned>(tensors.size()) + 1));
    return g.input("input" + std::to_string(tensors.size()), f32_spec(shape));
  }
};

using Record = Value (*)(Graph&, Feeds&);

struct Outcome {
  int nodes;
  std::string dump;
  Tensor y;
};

Outcome run(Record record, bool fuse) {
  Graph g;
  Feeds feeds;
  g.output("y", record(g, feeds));
  CompileOptions options;
  options.fuse = fuse;
  Program p = compile(g, options);
  const auto stream = make_stream({});
  p.run(feeds.tensors, *stream);
  return {p.nodes(), p.dump(), p.output("y").clone()};
}

void expect_fused(Record record, int nodes_fused, int nodes_plain) {
  const Outcome fused = run(record, true), plain = run(record, false);
  EXPECT_EQ(fused.nodes, nodes_fused) << fused.dump;
  EXPECT_EQ(plain.nodes, nodes_plain) << plain.dump;
  for (int64_t i = 0; i < fused.y.numel(); ++i)
    ASSERT_NEAR(fused.y.data<float>()[i], plain.y.data<float>()[i], 2e-6f) << "element " << i;
}

Value plain_linear(Graph& g, Feeds& f) { return linear(f.input(g, {40, 7}), f.input(g, {7, 33}), f.input(g, {33})); }

TEST(MatmulFusion, ActivationsAreTakenOver) {
  expect_fused([](Graph& g, Feeds& f) { return relu(plain_linear(g, f)); }, 1, 2);
  expect_fused([](Graph& g, Feeds& f) { return gelu(plain_linear(g, f)); }, 1, 2);
  expect_fused([](Graph& g, Feeds& f) { return gelu_tanh(plain_linear(g, f)); }, 1, 2);
  expect_fused([](Graph& g, Feeds& f) { return sigmoid(plain_linear(g, f)); }, 1, 2);
  expect_fused([](Graph& g, Feeds& f) { return tanh(plain_linear(g, f)); }, 1, 2);
}

TEST(MatmulFusion, BiasResidualAndActivationInOrder) {
  expect_fused(
      [](Graph& g, Feeds& f) {
        const Value product = matmul(f.input(g, {40, 7}), f.input(g, {7, 33}));
        const Value biased = add(product, f.input(g, {33}));
        return relu(add(f.input(g, {40, 33}), biased));
      },
      1, 4);
}

TEST(MatmulFusion, NothingIsAddedBehindAnActivation) {
  expect_fused([](Graph& g, Feeds& f) { return add(relu(plain_linear(g, f)), f.input(g, {40, 33})); }, 2, 3);
  expect_fused([](Graph& g, Feeds& f) { return add(sigmoid(plain_linear(g, f)), f.input(g, {33})); }, 2, 3);
  expect_fused([](Graph& g, Feeds& f) { return sigmoid(relu(plain_linear(g, f))); }, 2, 3);
}

TEST(MatmulFusion, AResultReadTwiceStays) {
  expect_fused(
      [](Graph& g, Feeds& f) {
        const Value y = plain_linear(g, f);
        return mul(y, relu(y));
      },
      3, 3);
  expect_fused(
      [](Graph& g, Feeds& f) {
        const Value y = plain_linear(g, f);
        return add(y, y);
      },
      2, 2);
}

TEST(MatmulFusion, ReluGradientBecomesAMask) {
  expect_fused(
      [](Graph& g, Feeds& f) {
        const Value saved = f.input(g, {40, 33});
        const Value dy = matmul(f.input(g, {40, 7}), f.input(g, {33, 7}), false, true);
        return g.apply("relu_grad", {dy, saved});
      },
      1, 2);
}

// Forward relu becomes an activation; its gradient a mask on the second layer's input gradient (x needs none).
TEST(MatmulFusion, TrainingStepOfTwoLayers) {
  Graph g;
  Feeds feeds;
  const auto parameter = [&](const char* name, const Shape& shape, unsigned seed) {
    auto v = std::make_shared<Variable>();
    v->name = name, v->value = filled(shape, seed);
    return g.persistent(v);
  };
  const Value w1 = parameter("w1", {7, 33}, 11), b1 = parameter("b1", {33}, 12);
  const Value w2 = parameter("w2", {33, 5}, 13), b2 = parameter("b2", {5}, 14);
  const Value x = feeds.input(g, {40, 7});
  g.backward(mean(square(linear(relu(linear(x, w1, b1)), w2, b2))));
  for (const auto& [name, of] : {std::pair{"w1", w1}, {"b1", b1}, {"w2", w2}, {"b2", b2}})
    g.output(name, g.gradient(of));
  CompileOptions plain;
  plain.fuse = false;
  const Program fused = compile(g), unfused = compile(g, plain);
  EXPECT_EQ(unfused.nodes() - fused.nodes(), 2) << fused.dump();  // relu, relu_grad
  EXPECT_NE(fused.dump().find("act=relu"), std::string::npos) << fused.dump();
  EXPECT_NE(fused.dump().find("has_mask=1"), std::string::npos) << fused.dump();
  EXPECT_EQ(fused.dump().find("relu_grad"), std::string::npos) << fused.dump();
}

// The gradient of gelu needs what came before it: the product gives both, and takes the gradient over as well.
TEST(MatmulFusion, GeluOfATrainingStepIsPartOfItsProducts) {
  for (const char* act : {"gelu", "gelu_tanh"}) {
    std::vector<Tensor> gradients;
    for (const bool fuse : {true, false}) {
      Graph g;
      Feeds feeds;
      const Value w1 = feeds.input(g, {7, 33}), b1 = feeds.input(g, {33}), w2 = feeds.input(g, {33, 5}),
                  x = feeds.input(g, {40, 7});
      for (const Value v : {w1, b1, w2, x}) g.require_grad(v);
      g.backward(mean(square(matmul(g.apply(act, {linear(x, w1, b1)}), w2))));
      g.output("dx", g.gradient(x));
      g.output("dw1", g.gradient(w1));
      CompileOptions options;
      options.fuse = fuse;
      Program p = compile(g, options);
      const bool alone = p.dump().find(std::string(act) + " ") != std::string::npos ||
                         p.dump().find(std::string(act) + "_grad ") != std::string::npos;
      EXPECT_EQ(alone, !fuse) << p.dump();
      const auto stream = make_stream({});
      p.run(feeds.tensors, *stream);
      for (const char* name : {"dx", "dw1"}) gradients.push_back(p.output(name).clone());
    }
    for (const size_t k : {0u, 1u})
      for (int64_t i = 0; i < gradients[k].numel(); ++i)
        ASSERT_NEAR(gradients[k].data<float>()[i], gradients[k + 2].data<float>()[i], 1e-6f) << act << " element " << i;
  }
}

TEST(OneDnnMatmul, BitsDoNotDependOnTheTeam) {
  const int before = num_threads();
  struct Size {
    int64_t m, n, k;
    bool trans_a;
  };
  for (const Size& s : {Size{256, 128, 4096, true}, Size{256, 1, 2048, true}, Size{300, 70, 130, false}}) {
    const Tensor a = filled({s.m, s.k}, 1), b = filled({s.k, s.n}, 2), bias = filled({s.n}, 3);
    std::vector<float> first;
    for (const int threads : {1, 2, 3, 7}) {
      set_num_threads(threads);
      cpu::OneDnnMatmul::Config config{s.m, s.n, s.k, s.trans_a, false, true, false, cpu::Act::Relu};
      config.threads = threads;
      const cpu::OneDnnMatmul product(config);
      const Tensor c(f32_spec({s.m, s.n})), scratch({DType::U8, {static_cast<int64_t>(product.scratch_bytes())}});
      product.run(a.data<float>(), b.data<float>(), bias.data<float>(), nullptr, nullptr, c.data<float>(),
                  scratch.raw());
      const std::vector<float> bits(c.span<float>().begin(), c.span<float>().end());
      if (threads == 1) first = bits;
      EXPECT_EQ(std::memcmp(bits.data(), first.data(), bits.size() * sizeof(float)), 0)
          << s.m << "x" << s.n << "x" << s.k << " with " << threads << " threads";
    }
  }
  set_num_threads(before);
}

}  // namespace
}  // namespace winnow
