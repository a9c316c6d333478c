// Programs whose parameters never change again: weights of products are packed once, shared, and give the same result.
#include <gtest/gtest.h>

#include <cstring>

#include "core/program.h"
#include "ops/losses.h"
#include "ops/matmul.h"
#include "ops/optimizers.h"
#include "ops/pointwise.h"

namespace winnow {
namespace {

Tensor filled(const Shape& shape, unsigned seed) {
  Tensor t({DType::F32, shape});
  for (float& x : t.span<float>())
    x = static_cast<float>((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 23) - 1.f;
  return t;
}
VariablePtr variable(const char* name, const Shape& shape, unsigned seed) {
  auto v = std::make_shared<Variable>();
  v->name = name, v->value = filled(shape, seed);
  return v;
}

struct Layers {
  VariablePtr up = variable("up", {40, 90}, 1), bias = variable("bias", {90}, 2), down = variable("down", {600, 90}, 3);
  Value operator()(Value x) const {
    Graph& g = *x.graph;
    return matmul(gelu(linear(x, g.persistent(up), g.persistent(bias))), g.persistent(down), false, true);
  }
};

Tensor outcome(const Layers& layers, int64_t rows, const std::shared_ptr<FrozenWeights>& frozen) {
  Graph g;
  g.output("y", layers(g.input("x", {DType::F32, {rows, 40}})));
  CompileOptions options;
  options.frozen = frozen;
  Program p = compile(g, options);
  EXPECT_EQ(p.dump().find("packed_n") != std::string::npos, frozen != nullptr) << p.dump();
  const auto stream = make_stream({});
  const Tensor x = filled({rows, 40}, 9);
  p.run(std::span(&x, 1), *stream);
  return p.output("y").clone();
}

TEST(FrozenWeights, GiveTheSameResultForFewAndManyRows) {
  const Layers layers;
  const auto frozen = std::make_shared<FrozenWeights>();
  for (const int64_t rows : {1, 2, 16, 31, 200}) {
    const Tensor y = outcome(layers, rows, frozen), expected = outcome(layers, rows, nullptr);
    for (int64_t i = 0; i < y.numel(); ++i)
      ASSERT_NEAR(y.data<float>()[i], expected.data<float>()[i], 1e-4f) << rows << " rows, element " << i;
  }
  EXPECT_EQ(frozen->packed.size(), 2u) << "one copy of each weight serves all programs";
}

TEST(FrozenWeights, RefreshTakesOverNewValues) {
  const Layers layers;
  const auto frozen = std::make_shared<FrozenWeights>();
  Graph g;
  g.output("y", layers(g.input("x", {DType::F32, {16, 40}})));
  CompileOptions options;
  options.frozen = frozen;
  Program p = compile(g, options);
  const auto stream = make_stream({});
  const Tensor x = filled({16, 40}, 9);
  p.run(std::span(&x, 1), *stream);
  layers.up->value.copy_from(filled({40, 90}, 21));
  layers.down->value.copy_from(filled({600, 90}, 22));
  frozen->refresh();
  p.run(std::span(&x, 1), *stream);
  const Tensor y = p.output("y"), expected = outcome(layers, 16, std::make_shared<FrozenWeights>());
  EXPECT_EQ(std::memcmp(y.raw(), expected.raw(), static_cast<size_t>(y.numel()) * sizeof(float)), 0);
}

TEST(FrozenWeights, AWeightThatTheProgramWritesIsNotPacked) {
  const Layers layers;
  Graph g;
  const Value x = g.input("x", {DType::F32, {8, 40}}), label = g.input("label", {DType::F32, {8, 600}});
  const Value lr = g.input("lr", {DType::F32, {}}), step = g.input("step", {DType::I64, {}});
  const Value loss = mse(layers(x), label), up = g.persistent(layers.up);
  g.output("loss", loss);
  g.backward(loss);
  sgd({{up}, {g.gradient(up)}, {}}, {lr, step});
  CompileOptions options;
  options.frozen = std::make_shared<FrozenWeights>();
  Program p = compile(g, options);
  const auto stream = make_stream({});
  const Tensor feeds[] = {filled({8, 40}, 4), filled({8, 600}, 5), Tensor::of<float>({0.1f}, {}),
                          Tensor::of<int64_t>({1}, {})};
  p.run(feeds, *stream);
  const float before = p.output("loss").item<float>();
  for (int i = 0; i < 5; ++i) p.run(feeds, *stream);
  EXPECT_LT(p.output("loss").item<float>(), before);
  EXPECT_EQ(options.frozen->packed.count({layers.up.get(), "pack_weight(trans_b=0)"}), 0u);
}

}  // namespace
}  // namespace winnow
