// Whole programs on the emulated device: the same steps as on the CPU.
#include "core/program.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/backend.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/register.h"
#include "core/passes.h"
#include "core/rng.h"
#include "data/token_batches.h"
#include "nn/transformer.h"
#include "ops/losses.h"
#include "ops/matmul.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "train/optimizer.h"

namespace winnow {
namespace {

constexpr int64_t kVocabulary = 20, kCapacity = 24;

const Device kCuda{Device::CUDA, 0};

// Once, before the first graph of any test of this program.
class WithDevice final : public testing::Environment {
  void SetUp() override { cuda::register_backend(); }
};
const testing::Environment* const kWithDevice = testing::AddGlobalTestEnvironment(new WithDevice);

class ProgramTest : public testing::Test {};

TransformerOptions bert() {
  TransformerOptions o;
  o.vocab_size = kVocabulary;
  o.hidden_size = 16;
  o.num_hidden_layers = 2;
  o.num_attention_heads = 2;
  o.intermediate_size = 24;
  o.max_position_embeddings = 32;
  o.initializer_range = 0.2;
  return o;
}
TransformerOptions gpt() {
  TransformerOptions o = bert();
  o.norm = TransformerOptions::Norm::Pre;
  o.positions = TransformerOptions::Positions::Rotary;
  o.hidden_act = "gelu_tanh";
  o.causal = true;
  o.embedding_norm = false;
  o.type_vocab_size = 0;
  return o;
}

class LanguageModel final : public Module {
 public:
  explicit LanguageModel(const TransformerOptions& o)
      : encoder_(&child<TransformerEncoder>("encoder", o)), head_(&child<MlmHead>("head", o)) {}
  Value logits(Graph& g, const TokenInputs& in, const StepContext& context) const {
    return (*head_)((*encoder_)(in, context), encoder_->word_embedding(g));
  }

 private:
  TransformerEncoder* encoder_;
  MlmHead* head_;
};

// Two texts of 9 and 7 tokens, an empty one between them, and room to spare.
TokenTensors batch_of(uint64_t seed) {
  JaggedIds rows;
  Rng rng(seed, 0);
  for (const int length : {9, 0, 7}) {
    for (int i = 0; i < length; ++i) {
      rows.ids.push_back(static_cast<int32_t>(rng.below(kVocabulary)));
      rows.types.push_back(static_cast<int8_t>(2 * i >= length));
    }
    rows.offsets.push_back(static_cast<int64_t>(rows.ids.size()));
  }
  TokenTensors batch(3, kCapacity);
  batch.fill(rows, std::vector<int32_t>{0, 1, 2});
  return batch;
}

// Inputs, output "loss" and gradients; the label of a token is the token itself.
void record_loss(Graph& g, const LanguageModel& model, Value step) {
  const auto tokens = [&](const char* name, int64_t n) { return g.input(name, {DType::I64, {n}}); };
  const TokenInputs in{tokens("ids", kCapacity), tokens("types", kCapacity), tokens("positions", kCapacity),
                       tokens("offsets", 4)};
  const Value loss =
      softmax_cross_entropy(model.logits(g, in, {.step = step, .row_weight = {}, .training = true}), in.ids);
  g.output("loss", loss);
  g.backward(loss);
}

struct Outcome {
  std::vector<float> losses;
  std::vector<std::pair<std::string, std::vector<float>>> parameters;
};

// Steps of AdamW, every step with other tokens and masks. Without `waits` the
// host runs ahead of the device and there are no losses.
Outcome train(const TransformerOptions& options, Device device, int64_t steps = 3, bool waits = true,
              Precision precision = Precision::F32) {
  LanguageModel model(options);
  model.initialize(1);
  const auto parameters = model.parameters();
  for (const Parameter& p : parameters) p.value() = p.value().on(device);

  Graph g(device, 7);
  const Value step = g.input("step", {DType::I64, {}}), rate = g.input("learning_rate", {DType::F32, {}});
  record_loss(g, model, step);
  Optimizer optimizer({.name = "adamw", .weight_decay = 0.01, .clip_norm = 1});
  optimizer.emit(g, parameters, rate, step, 0.01);
  for (const VariablePtr& v : optimizer.state()) v->value = v->value.on(device);
  CompileOptions compiled;
  compiled.precision = precision;
  Program program = compile(g, compiled);

  const auto stream = make_stream(device);
  Tensor step_tensor = Tensor::zeros({DType::I64, {}}), rate_tensor = Tensor::zeros({DType::F32, {}});
  Outcome outcome;
  for (int64_t i = 1; i <= steps; ++i) {
    const TokenTensors batch = batch_of(static_cast<uint64_t>(i));
    *step_tensor.data<int64_t>() = i;
    *rate_tensor.data<float>() = 0.01f;
    program.run(std::vector{step_tensor, rate_tensor, batch.ids, batch.types, batch.positions, batch.offsets}, *stream);
    if (!waits) continue;
    stream->synchronize();
    outcome.losses.push_back(program.output("loss").on({}).span<float>()[0]);
  }
  for (const Parameter& p : parameters) {
    const Tensor host = p.value().on({});
    if (host.dtype() != DType::F32) continue;
    outcome.parameters.emplace_back(p.name(), std::vector(host.span<float>().begin(), host.span<float>().end()));
  }
  return outcome;
}

void expect_same_training(const TransformerOptions& options) {
  const Outcome cpu = train(options, {}), device = train(options, kCuda);
  EXPECT_TRUE(emulation::reports().empty());
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(cpu.losses[i], device.losses[i], 1e-5f * cpu.losses[i]) << "step " << i;
  EXPECT_LT(cpu.losses[2], cpu.losses[0]);
  for (size_t i = 0; i < cpu.parameters.size(); ++i) {
    const auto& [name, expected] = cpu.parameters[i];
    const std::vector<float>& found = device.parameters[i].second;
    ASSERT_EQ(expected.size(), found.size());
    // The weights of a row do not change with what is added to all keys: without rotation the gradient of the keys'
    // bias is rounding alone, whose sign AdamW follows.
    const size_t third = name.ends_with("qkv.bias") && options.positions != TransformerOptions::Positions::Rotary
                             ? expected.size() / 3
                             : 0;
    for (size_t k = 0; k < expected.size(); ++k) {
      if (k >= third && k < 2 * third) continue;
      EXPECT_NEAR(expected[k], found[k], 1e-4f) << name << " " << k;
    }
  }
}

TEST_F(ProgramTest, ABertTrainsAsOnTheCpu) { expect_same_training(bert()); }
TEST_F(ProgramTest, TheSameStepsGiveTheSameBits) {
  const Outcome first = train(bert(), kCuda);
  emulation::options().threads = emulation::ThreadOrder::Random;
  const Outcome second = train(bert(), kCuda);
  emulation::options() = {};
  EXPECT_EQ(first.losses, second.losses);
  EXPECT_EQ(first.parameters, second.parameters);
}
// Rounded factors move the losses a little, and parameters stay f32.
TEST_F(ProgramTest, LowerPrecisionsTrainNearlyTheSame) {
  const Outcome exact = train(bert(), kCuda);
  for (const Precision precision : {Precision::TF32, Precision::BF16}) {
    const Outcome rounded = train(bert(), kCuda, 3, true, precision);
    EXPECT_NE(exact.losses, rounded.losses);
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(exact.losses[i], rounded.losses[i], 0.01f * exact.losses[i]) << i;
    EXPECT_EQ(rounded.parameters, train(bert(), kCuda, 3, true, precision).parameters);
    EXPECT_EQ(rounded.parameters.size(), exact.parameters.size());
  }
  EXPECT_TRUE(emulation::reports().empty());
}

struct Differentiated {
  float loss = 0;
  std::vector<std::vector<float>> gradients;  // of all parameters
  std::string plan;
};
Differentiated differentiate(const TransformerOptions& options, Precision precision) {
  LanguageModel model(options);
  model.initialize(1);
  Graph g(kCuda, 7);
  const Value step = g.input("step", {DType::I64, {}});
  record_loss(g, model, step);
  std::vector<std::string> names;
  for (const Parameter& p : model.parameters()) {
    if (p.value().dtype() != DType::F32) continue;
    names.push_back("d " + p.name());
    g.output(names.back(), g.gradient(g.persistent(p.variable)));
  }
  CompileOptions compiled;
  compiled.precision = precision;
  Program program = compile(g, compiled);
  const auto stream = make_stream(kCuda);
  const TokenTensors batch = batch_of(1);
  const Tensor first = Tensor::zeros({DType::I64, {}});
  program.run(std::vector{first, batch.ids, batch.types, batch.positions, batch.offsets}, *stream);
  stream->synchronize();
  Differentiated result{.loss = program.output("loss").span<float>()[0], .gradients = {}, .plan = program.dump()};
  for (const std::string& name : names) {
    const Tensor gradient = program.output(name);
    result.gradients.emplace_back(gradient.span<float>().begin(), gradient.span<float>().end());
  }
  return result;
}
double squared_norm(const std::vector<float>& x) {
  double sum = 0;
  for (const float e : x) sum += static_cast<double>(e) * e;
  return sum;
}

// Of all precisions the same masks and nearly the same loss and gradients; attention reads bf16 where products do.
TEST_F(ProgramTest, AttentionInBf16IsNearThatInF32) {
  TransformerOptions options = bert();
  options.hidden_size = 32;
  const Differentiated exact = differentiate(options, Precision::F32),
                       rounded = differentiate(options, Precision::BF16),
                       again = differentiate(options, Precision::BF16);
  EXPECT_TRUE(emulation::reports().empty());
  EXPECT_EQ(exact.plan.find("tensor_cores"), std::string::npos);
  for (const char* op : {"jagged_attention ", "jagged_attention_grad "}) {
    const size_t at = rounded.plan.find(op);
    ASSERT_NE(at, std::string::npos) << rounded.plan;
    const std::string line = rounded.plan.substr(at, rounded.plan.find('\n', at) - at);
    EXPECT_NE(line.find("tensor_cores"), std::string::npos) << line;
    EXPECT_NE(line.find("bf16_out"), std::string::npos) << line;  // only products read the result
  }
  EXPECT_NE(exact.loss, rounded.loss);
  EXPECT_NEAR(exact.loss, rounded.loss, 0.01f * exact.loss);
  double error = 0, all = 0;
  for (size_t p = 0; p < exact.gradients.size(); ++p) {
    std::vector<float> difference = exact.gradients[p];
    for (size_t i = 0; i < difference.size(); ++i) difference[i] -= rounded.gradients[p][i];
    error += squared_norm(difference);
    all += squared_norm(exact.gradients[p]);
  }
  EXPECT_LT(std::sqrt(error / all), 0.02);
  EXPECT_EQ(rounded.loss, again.loss);
  EXPECT_EQ(rounded.gradients, again.gradients);
}
// An attention whose result is stored in bf16 rounds what it would store in f32, once.
TEST_F(ProgramTest, ResultsOfAttentionInBf16AreThoseInF32Rounded) {
  const auto run = [](bool low) {
    Graph g(kCuda, 7);
    const Value qkv = g.input("qkv", {DType::BF16, {70, 96}}), offsets = g.input("offsets", {DType::I64, {3}});
    Attrs attrs = {{"heads", int64_t{2}}, {"scale", 0.3},         {"causal", int64_t{0}},  {"p", 0.0},
                   {"seed", int64_t{0}},  {"stream", int64_t{0}}, {"has_bias", int64_t{0}}};
    if (low) attrs.set("bf16_out", int64_t{1});
    g.output("y", g.apply_all("jagged_attention", std::vector{qkv, offsets}, attrs)[0]);
    Program program = compile(g);
    Tensor in(qkv.spec()), rows(offsets.spec());
    Rng rng(3, 0);
    for (int64_t i = 0; i < in.numel(); ++i) in.data<bf16>()[i] = bf16(static_cast<float>(rng.normal()));
    std::ranges::copy(std::vector<int64_t>{2, 40, 70}, rows.data<int64_t>());
    const auto stream = make_stream(kCuda);
    program.run(std::vector{in, rows}, *stream);
    return program.output("y");
  };
  const Tensor exact = run(false), rounded = run(true);
  ASSERT_EQ(rounded.dtype(), DType::BF16);
  for (int64_t i = 0; i < exact.numel(); ++i)
    ASSERT_EQ(bf16(exact.data<float>()[i]).bits, rounded.data<bf16>()[i].bits) << i;
}

// What only products read is stored as they read it, and what else needs is not.
TEST_F(ProgramTest, ResultsBetweenProductsAreStoredInBf16) {
  set_default_device(kCuda);
  Graph g;
  const auto variable = [&](const char* name, const Shape& shape) {
    const auto made = std::make_shared<Variable>();
    made->name = name, made->value = Tensor::zeros({DType::F32, shape});
    return g.persistent(made);
  };
  const Value weights[] = {variable("a", {24, 40}), variable("b", {40, 48}), variable("c", {48, 8})};
  Value h = relu(linear(g.input("x", {DType::F32, {16, 24}}), weights[0], variable("bias", {40})));
  h = gelu(linear(h, weights[1]));
  const Value loss = mean(square(linear(h, weights[2])));
  g.output("loss", loss);
  g.backward(loss);
  for (const Value w : weights) g.output(fmt::format("gradient {}", w.id), g.gradient(w));
  set_default_device({});
  Ir ir(g);
  merge_equal_nodes(ir);
  round_factors(ir, Precision::BF16, device_info(kCuda));
  fuse_epilogues(ir);
  store_rounded(ir, device_info(kCuda));
  int casts = 0, low = 0;
  for (const Node& node : ir.nodes) {
    casts += std::string_view(node.op->name) == "cast";
    for (const int32_t out : node.outputs)
      low += node.attrs.integer("bf16_out", 0) != 0 && ir.values[static_cast<size_t>(out)].spec.dtype == DType::BF16;
  }
  EXPECT_EQ(casts, 5);  // x, three weights, the gradient of the last product
  EXPECT_EQ(low, 5);    // relu, gelu and what is before it, and the gradients before both
}
TEST_F(ProgramTest, FeedsOfStepsInFlightStayApart) {
  const Outcome waited = train(bert(), kCuda, 6);
  for (const auto streams :
       {emulation::StreamMode::Lazy, emulation::StreamMode::Eager, emulation::StreamMode::Random}) {
    emulation::options().streams = streams;
    EXPECT_EQ(waited.parameters, train(bert(), kCuda, 6, false).parameters) << static_cast<int>(streams);
  }
  emulation::options() = {};
  const auto waits = [] { return emulation::counters().dropped; };
  const auto before = waits();
  emulation::options().drop_event_waits = true;  // then a pinned buffer is filled again before its copy ran
  EXPECT_NE(waited.parameters, train(bert(), kCuda, 6, false).parameters);
  EXPECT_GT(waits(), before);
  emulation::options() = {};
  EXPECT_TRUE(emulation::reports().empty());
}
TEST_F(ProgramTest, AnEventOrdersTwoStreams) {
  Backend& backend = backend_of(kCuda);
  const TensorSpec spec{DType::F32, {4}};
  Tensor host(spec, backend.pinned_allocator(kCuda)), back(spec, backend.pinned_allocator(kCuda));
  const Tensor first(spec, backend.allocator(kCuda)), second(spec, backend.allocator(kCuda));
  std::ranges::fill(host.span<float>(), 3.0f);
  std::ranges::fill(back.span<float>(), 0.0f);
  const auto one = make_stream(kCuda), other = make_stream(kCuda);
  const auto copied = backend.make_event(kCuda);
  backend.copy(first.raw(), host.raw(), spec.bytes(), *one);
  copied->record(*one);
  copied->wait(*other);
  backend.copy(second.raw(), first.raw(), spec.bytes(), *other);
  backend.copy(back.raw(), second.raw(), spec.bytes(), *other);
  other->synchronize();
  EXPECT_EQ(back.span<float>()[3], 3.0f);
}
// Streams that are not the legacy one: they do not wait for copies and fills by themselves.
TEST_F(ProgramTest, CopiesAndFillsForTheHostKeepTheOrderOfCalls) {
  Backend& backend = backend_of(kCuda);
  const TensorSpec spec{DType::F32, {4}};
  Tensor host(spec, backend.pinned_allocator(kCuda));
  const Tensor device(spec, backend.allocator(kCuda)), other(spec, backend.allocator(kCuda));
  const auto stream = make_stream(kCuda);
  std::ranges::fill(host.span<float>(), 3.0f);
  backend.copy(device.raw(), host.raw(), spec.bytes(), *stream);
  backend.fill_now(device.raw(), 0, spec.bytes(), kCuda);
  EXPECT_EQ(device.on({}).span<float>()[3], 0.0f);
  backend.fill_now(device.raw(), 0, spec.bytes(), kCuda);  // done when it returns
  backend.copy(device.raw(), host.raw(), spec.bytes(), *stream);
  EXPECT_EQ(device.on({}).span<float>()[3], 3.0f);
  backend.fill_now(other.raw(), 0, spec.bytes(), kCuda);
  backend.copy_now(device.raw(), other.raw(), spec.bytes(), kCuda);
  backend.copy(device.raw(), host.raw(), spec.bytes(), *stream);
  EXPECT_EQ(device.on({}).span<float>()[3], 3.0f);
}
TEST_F(ProgramTest, AGptTrainsAsOnTheCpu) { expect_same_training(gpt()); }

}  // namespace
}  // namespace winnow
