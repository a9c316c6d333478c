// EmbeddingTable: fields of several widths, fields that share rows, fields pooled by max; and every model over them.
#include <gtest/gtest.h>

#include <map>

#include "core/program.h"
#include "core/rng.h"
#include "models/ctr.h"
#include "ops/losses.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "train/optimizer.h"

namespace winnow {
namespace {

// sum(table(ids) * factor), after `steps` steps of SGD at rate 1.
struct Lookup {
  std::map<std::string, Tensor> parameters;  // after the steps
  std::map<std::string, Tensor> start;
  Tensor out;  // before them
};

Lookup run(const std::vector<EmbeddingField>& fields, const std::vector<int64_t>& ids,
           const std::vector<int64_t>& offsets, int64_t batch, int64_t dim, int steps) {
  const auto f = static_cast<int64_t>(fields.size());
  struct Holder final : Module {
    Holder(const std::vector<EmbeddingField>& list, int64_t width)
        : table(&child<EmbeddingTable>("embedding", list, EmbeddingOptions{.dim = width, .init = Init::normal(1)})) {}
    EmbeddingTable* table;
  } model(fields, dim);
  model.initialize(4);
  Graph g;
  const Value step = g.input("step", {DType::I64, {}}), rate = g.input("rate", {DType::F32, {}});
  Shape id_shape{batch, f};
  if (!offsets.empty()) id_shape = {static_cast<int64_t>(ids.size())};
  const Value id_value = g.input("ids", {DType::I64, id_shape});
  Value offset_value{};
  if (!offsets.empty()) offset_value = g.input("offsets", {DType::I64, {static_cast<int64_t>(offsets.size())}});
  const Value factor = g.input("factor", {DType::F32, {batch, f, dim}});
  const Value out = (*model.table)(id_value, offset_value);
  const Value loss = sum(mul(out, factor), {0, 1, 2});
  g.output("out", out);
  g.backward(loss);
  OptimizerOptions o;
  o.name = o.embedding = "sgd";
  Optimizer optimizer(o);
  optimizer.emit(g, model.parameters(), rate, step, 1);
  Program program = compile(g);
  Lookup result;
  const auto copy = [](const Tensor& t) {
    Tensor c(t.spec());
    c.copy_from(t);
    return c;
  };
  for (const Parameter& p : model.parameters()) result.start[p.name()] = copy(p.value());
  Tensor factors({DType::F32, {batch, f, dim}});
  for (int64_t i = 0; i < factors.numel(); ++i) factors.data<float>()[i] = 0.01f * static_cast<float>(i + 1);
  Tensor id_tensor = Tensor::zeros({DType::I64, id_shape});
  std::ranges::copy(ids, id_tensor.data<int64_t>());
  std::vector<Tensor> feeds = {Tensor::of<int64_t>({1}, {}), Tensor::of<float>({1}, {}), id_tensor};
  if (!offsets.empty()) {
    feeds.push_back(Tensor::zeros(offset_value.spec()));
    std::ranges::copy(offsets, feeds.back().data<int64_t>());
  }
  feeds.push_back(factors);
  const auto stream = make_stream({});
  for (int s = 0; s < steps; ++s) {
    program.run(feeds, *stream);
    if (s == 0) result.out = copy(program.output("out"));
  }
  for (const Parameter& p : model.parameters()) result.parameters[p.name()] = copy(p.value());
  return result;
}

TEST(EmbeddingFields, OneWidthIsOneTensor) {
  const Lookup r = run({{.rows = 5}, {.rows = 3, .dim = 4}}, {1, 2, 4, 0}, {}, 2, 4, 1);
  ASSERT_EQ(r.start.size(), 1u);
  EXPECT_EQ(r.start.at("embedding.weight").shape(), (Shape{8, 4}));
}

TEST(EmbeddingFields, OtherWidthsAreProjected) {
  const Lookup r = run({{.rows = 5}, {.rows = 3, .dim = 2}, {.rows = 4}, {.rows = 6, .dim = 7}},
                       {1, 2, 3, 5, 4, 1, 0, 2}, {}, 2, 4, 1);
  ASSERT_EQ(r.start.size(), 5u) << "three stacks, two projections";
  const auto w = [&](const std::string& name) { return r.start.at("embedding." + name).data<float>(); };
  EXPECT_EQ(r.start.at("embedding.weight_2").shape(), (Shape{3, 2}));
  EXPECT_EQ(r.start.at("embedding.project_2.weight").shape(), (Shape{2, 4}));
  for (int64_t j = 0; j < 4; ++j) {
    EXPECT_EQ(r.out.data<float>()[j], w("weight")[1 * 4 + j]);
    EXPECT_EQ(r.out.data<float>()[2 * 4 + j], w("weight")[(5 + 3) * 4 + j]) << "field 2 follows field 0";
    float narrow = 0, wide = 0;
    for (int64_t k = 0; k < 2; ++k) narrow += w("weight_2")[2 * 2 + k] * w("project_2.weight")[k * 4 + j];
    for (int64_t k = 0; k < 7; ++k) wide += w("weight_7")[5 * 7 + k] * w("project_7.weight")[k * 4 + j];
    EXPECT_NEAR(r.out.data<float>()[1 * 4 + j], narrow, 1e-5);
    EXPECT_NEAR(r.out.data<float>()[3 * 4 + j], wide, 1e-5);
    EXPECT_EQ(r.out.data<float>()[(4 + 2) * 4 + j], 0) << "PAD";
  }
}

// Both fields look the same row up: its gradient is the sum of both, applied once.
TEST(EmbeddingFields, SharedRowsGetTheSumOfTheirUses) {
  const Lookup r = run({{.rows = 4}, {.rows = 4, .shares = 0}, {.rows = 3}}, {2, 2, 1, 3, 2, 0}, {}, 2, 4, 1);
  const Tensor &before = r.start.at("embedding.weight"), &after = r.parameters.at("embedding.weight");
  ASSERT_EQ(before.shape(), (Shape{7, 4}));
  for (int64_t j = 0; j < 4; ++j) {
    const auto factor = [&](int64_t bag) { return 0.01f * static_cast<float>(bag * 4 + j + 1); };
    const auto moved = [&](int64_t row) {
      return before.data<float>()[row * 4 + j] - after.data<float>()[row * 4 + j];
    };
    EXPECT_NEAR(moved(2), factor(0) + factor(1) + factor(4), 1e-6);
    EXPECT_NEAR(moved(3), factor(3), 1e-6);
    EXPECT_NEAR(moved(4 + 1), factor(2), 1e-6);
    EXPECT_EQ(moved(0), 0);
    EXPECT_EQ(r.out.data<float>()[j], r.out.data<float>()[4 + j]);
  }
}

TEST(EmbeddingFields, MaxPoolingTrainsTheLargestOnly) {
  const Lookup r = run({{.rows = 4, .pooling = Pooling::Max}, {.rows = 3}}, {1, 2, 1, 3, 2}, {0, 2, 3, 5, 5}, 2, 2, 1);
  const Tensor &before = r.start.at("embedding.weight_max"), &after = r.parameters.at("embedding.weight_max");
  ASSERT_EQ(before.shape(), (Shape{4, 2}));
  for (int64_t j = 0; j < 2; ++j) {
    const float *b = before.data<float>(), *a = after.data<float>();
    const int64_t first = b[2 + j] >= b[4 + j] ? 1 : 2;
    EXPECT_EQ(r.out.data<float>()[j], b[first * 2 + j]);
    EXPECT_LT(a[first * 2 + j], b[first * 2 + j]);
    EXPECT_EQ(a[j], b[j]) << "PAD";
  }
}

TEST(EmbeddingFields, SharingNeedsEqualTables) {
  EXPECT_THROW(EmbeddingTable({{.rows = 4}, {.rows = 5, .shares = 0}}, {}), ConfigError);
  EXPECT_THROW(EmbeddingTable({{.rows = 4, .dim = 3}, {.rows = 4, .shares = 0}}, {}), ConfigError);
}

TEST(EmbeddingFields, EveryModelTrainsOverMixedWidths) {
  constexpr int64_t kBatch = 64;
  for (const std::string& name : ctr_model_names()) {
    CtrSpec spec;
    spec.fields = {{"user", 50, Pooling::Sum, 4, -1},
                   {"item", 30, Pooling::Sum, 0, -1},
                   {"last", 30, Pooling::Sum, 0, 1},
                   {"age", 10, Pooling::Sum, 2, -1}};
    spec.dense = 5;
    spec.user_field = 0;
    spec.item_field = 1;
    CtrOptions options;
    options.name = name;
    options.hidden_units = options.bottom_units = {8};
    options.embedding_dim = 8;
    options.embedding_init_std = 0.1;
    const auto model = make_ctr_model(spec, options);
    model->initialize(1);
    Graph g;
    const Value step = g.input("step", {DType::I64, {}}), rate = g.input("rate", {DType::F32, {}});
    const CtrInputs in{g.input("ids", {DType::I64, {kBatch, 4}}), {}, g.input("dense", {DType::F32, {kBatch, 5}})};
    const Value label = g.input("label", {DType::F32, {kBatch}}), weight = g.input("weight", {DType::F32, {kBatch}});
    const Value loss = bce_with_logits(model->logits(in, {step, weight, true}), label, weight);
    g.output("loss", loss);
    g.backward(loss);
    Optimizer optimizer{OptimizerOptions{}};
    optimizer.emit(g, model->parameters(), rate, step, 3e-2);
    Program program = compile(g);
    Rng rng(5);
    std::vector<Tensor> feeds = {Tensor::of<int64_t>({1}, {}), Tensor::of<float>({3e-2f}, {})};
    for (const Value v : {in.ids, in.dense, label, weight}) feeds.push_back(Tensor::zeros(v.spec()));
    for (int64_t& id : feeds[2].span<int64_t>()) id = static_cast<int64_t>(1 + rng.below(9));
    for (float& x : feeds[3].span<float>()) x = static_cast<float>(rng.normal());
    for (float& y : feeds[4].span<float>()) y = rng.uniform() < 0.5 ? 1.f : 0.f;
    for (float& w : feeds[5].span<float>()) w = 1;
    const auto stream = make_stream({});
    program.run(feeds, *stream);
    const float first = program.output("loss").item<float>();
    for (int i = 0; i < 60; ++i) {
      ++*feeds[0].data<int64_t>();
      program.run(feeds, *stream);
    }
    EXPECT_LT(program.output("loss").item<float>(), 0.9f * first) << name;
  }
}

TEST(EmbeddingFields, AModelWithoutIdsIsRefusedWithAWayOut) {
  CtrSpec spec;
  spec.dense = 3;
  try {
    make_ctr_model(spec, {});
    FAIL() << "no error";
  } catch (const ConfigError& e) {
    EXPECT_NE(std::string(e.what()).find("give a numeric one `boundaries`"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace winnow
