// NaN guard: a step whose gradient is not finite changes no parameter and no state, whatever the optimizer.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "core/program.h"
#include "core/rng.h"
#include "models/ctr.h"
#include "ops/losses.h"
#include "train/optimizer.h"

namespace winnow {
namespace {

std::vector<char> bytes_of(const CtrModel& model, const Optimizer& optimizer) {
  std::vector<char> all;
  const auto append = [&](const Tensor& t) {
    const auto* p = static_cast<const char*>(t.raw());
    all.insert(all.end(), p, p + t.bytes());
  };
  for (const Parameter& p : model.parameters()) append(p.value());
  for (const VariablePtr& v : optimizer.state()) append(v->value);
  return all;
}

class NonFinite : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(NonFinite, StepChangesNothing) {
  constexpr int64_t kBatch = 32;
  CtrSpec spec;
  for (int f = 0; f < 3; ++f) spec.fields.push_back({fmt::format("f{}", f), 50, Pooling::Sum});
  spec.dense = 2;
  CtrOptions options;
  options.hidden_units = {8};
  options.batch_norm = true;
  const auto model = make_ctr_model(spec, options);
  model->initialize(1);
  Graph g;
  const Value step = g.input("step", {DType::I64, {}}), rate = g.input("rate", {DType::F32, {}});
  const CtrInputs in{g.input("ids", {DType::I64, {kBatch, 3}}), {}, g.input("dense", {DType::F32, {kBatch, 2}})};
  const Value label = g.input("label", {DType::F32, {kBatch}}), weight = g.input("weight", {DType::F32, {kBatch}});
  const Value loss = bce_with_logits(model->logits(in, {step, weight, true}), label, weight);
  g.output("loss", loss);
  g.backward(loss);
  OptimizerOptions optimizer_options;
  optimizer_options.name = GetParam().first;
  optimizer_options.embedding = GetParam().second;
  Optimizer optimizer(optimizer_options);
  optimizer.emit(g, model->parameters(), rate, step, 1e-3);
  Program program = compile(g);

  Rng rng(5);
  Tensor step_tensor = Tensor::of<int64_t>({1}, {});
  std::vector<Tensor> feeds = {step_tensor, Tensor::of<float>({1e-2f}, {})};
  for (const Value v : {in.ids, in.dense, label, weight}) feeds.push_back(Tensor::zeros(v.spec()));
  for (int64_t& id : feeds[2].span<int64_t>()) id = static_cast<int64_t>(1 + rng.below(49));
  for (float& x : feeds[3].span<float>()) x = static_cast<float>(rng.normal());
  for (float& y : feeds[4].span<float>()) y = rng.uniform() < 0.5 ? 1.f : 0.f;
  for (float& w : feeds[5].span<float>()) w = 1;
  const auto stream = make_stream({});
  const auto start = bytes_of(*model, optimizer);
  program.run(feeds, *stream);
  const auto trained = bytes_of(*model, optimizer);
  EXPECT_NE(start, trained);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    feeds[3].span<float>()[5] = bad;
    ++*step_tensor.data<int64_t>();
    program.run(feeds, *stream);
    EXPECT_FALSE(std::isfinite(program.output("gradient_norm").item<float>()));
    EXPECT_EQ(bytes_of(*model, optimizer), trained);
  }
}

INSTANTIATE_TEST_SUITE_P(Optimizers, NonFinite,
                         testing::Values(std::pair{"sgd", "sgd"}, std::pair{"adam", "adam"},
                                         std::pair{"adamw", "adam_lazy"}, std::pair{"rmsprop", "adagrad"},
                                         std::pair{"adagrad", "rowwise_adagrad"}, std::pair{"lamb", "adam"},
                                         std::pair{"ftrl", "ftrl"}),
                         [](const auto& i) { return std::string(i.param.first) + "_" + i.param.second; });

}  // namespace
}  // namespace winnow
