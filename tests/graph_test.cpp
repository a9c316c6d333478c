// Graph, autograd, passes, memory plan and Program on small graphs.
#include <gtest/gtest.h>

#include "core/memory_plan.h"
#include "core/parallel.h"
#include "core/passes.h"
#include "core/program.h"
#include "core/rng.h"
#include "ops/jagged_attention.h"
#include "ops/matmul.h"
#include "ops/optimizers.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/shape_ops.h"

namespace winnow {
namespace {

VariablePtr variable(const std::string& name, Tensor value) {
  return std::make_shared<Variable>(Variable{name, std::move(value), true, false});
}

TEST(MemoryPlan, BlocksWhoseLivesDoNotOverlapShareBytes) {
  std::vector<Block> blocks = {{1000, 0, 1, "a"}, {1000, 2, 3, "b"}, {500, 1, 2, "c"}};
  const size_t total = plan_memory(blocks, 64);
  EXPECT_EQ(blocks[0].offset, blocks[1].offset);
  EXPECT_LE(total, 1600u);
  verify_plan(blocks, total);
}

TEST(MemoryPlan, VerifierNamesTwoLiveBlocksThatShareBytes) {
  std::vector<Block> blocks = {{100, 0, 2, "first", 0}, {100, 2, 3, "second", 64}};
  try {
    verify_plan(blocks, 1024);
    FAIL() << "not noticed";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("first"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("second"), std::string::npos) << e.what();
  }
}

TEST(MemoryPlan, RandomPlansPassTheVerifierAndBeatNoSharing) {
  Rng rng(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Block> blocks(1 + rng.below(40));
    size_t naive = 0;
    for (Block& b : blocks) {
      b.bytes = rng.below(5000);
      b.first = static_cast<int>(rng.below(30));
      b.last = b.first + static_cast<int>(rng.below(10));
      naive += (b.bytes + 63) / 64 * 64;
    }
    const size_t total = plan_memory(blocks, 64);
    verify_plan(blocks, total);
    EXPECT_LE(total, naive + 64);
  }
}

TEST(Graph, ErrorsNameOperatorRuleAndSourceLine) {
  Graph g;
  const Value a = g.input("a", {DType::F32, {32, 128}}), b = g.input("b", {DType::F32, {64, 256}});
  try {
    matmul(a, b);
    FAIL() << "not noticed";
  } catch (const ShapeError& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("matmul"), std::string::npos) << text;
    EXPECT_NE(text.find("128 != 64"), std::string::npos) << text;
    EXPECT_NE(text.find("graph_test.cpp:"), std::string::npos) << text;
  }
  EXPECT_THROW(g.apply("reluu", {a}), Error);
  EXPECT_THROW(g.input("a", {DType::F32, {1}}), Error);
}

TEST(Passes, EqualNodesAreComputedOnceAndDeadNodesNot) {
  Graph g;
  const Value x = g.input("x", {DType::F32, {4}});
  const Value twice = add(relu(x), relu(x));
  sigmoid(x);
  g.output("y", twice);
  Ir ir(g);
  remove_dead_nodes(ir);
  merge_equal_nodes(ir);
  remove_dead_nodes(ir);
  EXPECT_EQ(ir.nodes.size(), 2u);  // relu, add
}

TEST(Passes, BiasAndReluBecomeTheEpilogueOfTheMatmul) {
  Graph g;
  const auto w = variable("w", Tensor::zeros({DType::F32, {8, 4}})),
             b = variable("b", Tensor::zeros({DType::F32, {4}}));
  const Value x = g.input("x", {DType::F32, {3, 8}});
  g.output("y", relu(add(matmul(x, g.persistent(w)), g.persistent(b))));
  Ir ir(g);
  fuse_epilogues(ir);
  ASSERT_EQ(ir.nodes.size(), 1u);
  EXPECT_STREQ(ir.nodes[0].op->name, "matmul");
}

DeviceInfo with_bf16() {
  DeviceInfo device = device_info({});
  device.avx512_bf16 = true;
  return device;
}

// bf16: each value is rounded once, by a cast before its first product, and again where it was written in between.
TEST(Passes, FactorsAreRoundedOnceUntilTheyAreWritten) {
  Graph g;
  const auto w = variable("w", Tensor::zeros({DType::F32, {8, 8}}));
  const Value x = g.input("x", {DType::F32, {3, 8}}), weight = g.persistent(w);
  const Value y = matmul(matmul(x, weight), weight);
  g.backward(mean(square(y)));
  g.output("dw", g.gradient(weight));
  const auto casts = [](const Ir& ir) {
    return std::ranges::count_if(ir.nodes, [](const Node& n) { return std::string(n.op->name) == "cast"; });
  };
  Ir ir(g);
  merge_equal_nodes(ir);
  round_factors(ir, Precision::BF16, with_bf16());
  // x, weight, x weight, dy, dy weight^T: two products forward, two gradients of the weight, one of x weight
  EXPECT_EQ(casts(ir), 5);
  for (const Node& n : ir.nodes)
    if (std::string(n.op->name) == "matmul") {
      EXPECT_EQ(ir.values[static_cast<size_t>(n.inputs[0])].spec.dtype, DType::BF16);
      EXPECT_EQ(ir.values[static_cast<size_t>(n.outputs[0])].spec.dtype, DType::F32);
    }
}

TEST(Passes, WhatADeviceHasNoKernelForStaysInF32) {
  Graph g;
  const Value x = g.input("x", {DType::F32, {6, 24}}), weight = g.input("weight", {DType::F32, {24, 24}});
  g.output("y", jagged_attention(matmul(x, weight), g.input("offsets", {DType::I64, {3}}), {.heads = 2}));
  Ir ir(g);
  round_factors(ir, Precision::TF32, with_bf16());
  EXPECT_EQ(ir.nodes.size(), 2u);
  for (const Node& n : ir.nodes) EXPECT_FALSE(n.attrs.flag("tf32")) << n.op->name;
  DeviceInfo without = with_bf16();
  without.avx512_bf16 = false;
  round_factors(ir, Precision::BF16, without);
  EXPECT_EQ(ir.nodes.size(), 2u);
  round_factors(ir, Precision::BF16, with_bf16());
  EXPECT_EQ(ir.nodes.size(), 4u);  // x and weight; attention's only kernel for bf16 on a CPU is the reference
  EXPECT_EQ(spec_of(ir, ir.nodes.back()).in[0].dtype, DType::F32);
}

TEST(Passes, AFactorThatWasWrittenIsRoundedAgain) {
  Graph g;
  const auto w = variable("w", Tensor::zeros({DType::F32, {8, 8}}));
  const Value x = g.input("x", {DType::F32, {3, 8}}), weight = g.persistent(w), more = g.input("more", weight.spec());
  g.output("before", matmul(x, weight));
  const Value scalars[] = {g.input("lr", {DType::F32, {}}), g.input("step", {DType::I64, {}})};
  sgd({.params = {weight}, .grads = {more}, .state = {}}, {.lr = scalars[0], .step = scalars[1]});
  g.output("after", matmul(x, weight));
  Ir ir(g);
  round_factors(ir, Precision::BF16, with_bf16());
  EXPECT_EQ(ir.nodes.size(), 6u);  // x, weight, product, update, weight again, product
}

TEST(Program, ProductsInBf16AreNearThoseInF32OrRefusedWithTheReason) {
  Graph g;
  Rng rng(3);
  Tensor x(TensorSpec{DType::F32, {40, 64}});
  for (float& v : x.span<float>()) v = static_cast<float>(rng.normal());
  Tensor weight(TensorSpec{DType::F32, {64, 32}});
  for (float& v : weight.span<float>()) v = static_cast<float>(rng.normal());
  g.output("y", relu(linear(g.input("x", x.spec()), g.persistent(variable("w", weight)))));
  CompileOptions low;
  low.precision = Precision::BF16;
  const auto stream = make_stream({});
  const auto run = [&](const CompileOptions& options) {
    Program p = compile(g, options);
    p.run(std::vector<Tensor>{x}, *stream);
    const Tensor y = p.output("y");
    return std::vector<float>(y.span<float>().begin(), y.span<float>().end());
  };
  if (!device_info({}).avx512_bf16) {
    EXPECT_THROW(run(low), DeviceError);
    return;
  }
  const auto exact = run({}), rounded = run(low);
  EXPECT_NE(exact, rounded);
  for (size_t i = 0; i < exact.size(); ++i) EXPECT_NEAR(exact[i], rounded[i], 0.15) << i;  // 8 sqrt(64) 2^-9
}

TEST(Program, Tf32IsRefusedOnTheCpu) {
  Graph g;
  g.output("y", matmul(g.input("x", {DType::F32, {2, 3}}), g.input("w", {DType::F32, {3, 4}})));
  CompileOptions options;
  options.precision = Precision::TF32;
  EXPECT_THROW(compile(g, options), DeviceError);
}

// The same graph with and without every pass gives the same numbers.
TEST(Program, PassesDoNotChangeResults) {
  const auto build = [](Graph& g, std::vector<VariablePtr>& vars) {
    const Value x = g.input("x", {DType::F32, {33, 17}});
    Value h = relu(linear(x, g.persistent(vars[0]), g.persistent(vars[1])));
    h = add(h, relu(h));
    const Value y = linear(h, g.persistent(vars[2]), {});
    const Value loss = mean(square(y));
    g.output("loss", loss);
    g.backward(loss);
    for (const auto& v : vars) g.output(v->name, g.gradient(g.persistent(v)));
  };
  Rng rng(3);
  const auto random = [&](const Shape& shape) {
    Tensor t(TensorSpec{DType::F32, shape});
    for (float& v : t.span<float>()) v = static_cast<float>(rng.normal());
    return t;
  };
  std::vector<VariablePtr> vars = {variable("w1", random({17, 29})), variable("b1", random({29})),
                                   variable("w2", random({29, 5}))};
  const Tensor x = random({33, 17});
  const auto stream = make_stream({});
  std::vector<std::vector<float>> results;
  for (const bool optimise : {false, true}) {
    Graph g;
    build(g, vars);
    CompileOptions options;
    options.fuse = options.share = optimise;
    Program p = compile(g, options);
    p.run(std::vector<Tensor>{x}, *stream);
    std::vector<float> all;
    for (const char* name : {"loss", "w1", "b1", "w2"})
      for (const float v : p.output(name).span<float>()) all.push_back(v);
    results.push_back(all);
    CompileOptions guarded = options;
    guarded.red_zones = true;
    compile(g, guarded).run(std::vector<Tensor>{x}, *stream);
  }
  ASSERT_EQ(results[0].size(), results[1].size());
  for (size_t i = 0; i < results[0].size(); ++i)
    EXPECT_NEAR(results[0][i], results[1][i], 1e-5 * (1 + std::abs(results[0][i]))) << i;
}

TEST(Program, FeedsAreCheckedByName) {
  Graph g;
  g.output("y", relu(g.input("x", {DType::F32, {4}})));
  Program p = compile(g);
  const auto stream = make_stream({});
  EXPECT_THROW(p.run(std::vector<Tensor>{Tensor::zeros({DType::F32, {5}})}, *stream), ShapeError);
  EXPECT_THROW(p.run(std::vector<Tensor>{}, *stream), Error);
  EXPECT_THROW(p.output("z"), Error);
}

TEST(Program, CheckFiniteNamesTheOperator) {
  Graph g;
  g.output("y", log(g.input("x", {DType::F32, {2}})));
  CompileOptions options;
  options.check_finite = true;
  Program p = compile(g, options);
  const auto stream = make_stream({});
  try {
    p.run(std::vector<Tensor>{Tensor::of<float>({1.f, -1.f}, {2})}, *stream);
    FAIL() << "not noticed";
  } catch (const Error& e) { EXPECT_NE(std::string(e.what()).find("log"), std::string::npos) << e.what(); }
}

TEST(Program, ProgramsShareOneArena) {
  const auto arena = std::make_shared<Arena>();
  const auto stream = make_stream({});
  const auto make = [&](int64_t n) {
    Graph g;
    const Value x = g.input("x", {DType::F32, {n}});
    g.output("y", relu(affine(x, 2, 1)));
    CompileOptions options;
    options.arena = arena;
    return compile(g, options);
  };
  Program small = make(3), large = make(100000);
  small.run(std::vector<Tensor>{Tensor::of<float>({1, 2, 3}, {3})}, *stream);
  EXPECT_EQ(small.output("y").span<float>()[2], 7.f);
  large.run(std::vector<Tensor>{Tensor::zeros({DType::F32, {100000}})}, *stream);
  EXPECT_EQ(large.output("y").span<float>()[99999], 1.f);
}

}  // namespace
}  // namespace winnow
