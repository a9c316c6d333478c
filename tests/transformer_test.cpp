// Transformers over jagged sequences: what their results may depend on, and their gradients.
#include "nn/transformer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/parallel.h"
#include "core/program.h"
#include "core/rng.h"
#include "data/token_batches.h"
#include "ops/binary.h"
#include "ops/reduce.h"
#include "tests/error_text.h"

namespace winnow {
namespace {

constexpr int64_t kVocabulary = 20;

TransformerOptions small() {
  TransformerOptions o;
  o.vocab_size = kVocabulary;
  o.hidden_size = 8;
  o.num_hidden_layers = 2;
  o.num_attention_heads = 2;
  o.intermediate_size = 12;
  o.max_position_embeddings = 32;
  o.initializer_range = 0.4;
  return o;
}
TransformerOptions decoder(TransformerOptions::Positions positions) {
  TransformerOptions o = small();
  o.norm = TransformerOptions::Norm::Pre;
  o.positions = positions;
  o.hidden_act = "gelu_tanh";
  o.causal = true;
  o.embedding_norm = false;
  o.type_vocab_size = 0;
  return o;
}
std::vector<TransformerOptions> kinds() {
  using Positions = TransformerOptions::Positions;
  TransformerOptions bidirectional = decoder(Positions::Rotary);
  bidirectional.causal = false;
  return {small(), decoder(Positions::Learned), decoder(Positions::Rotary), bidirectional};
}

JaggedIds rows_of(std::initializer_list<int> lengths, uint64_t seed = 5) {
  JaggedIds rows;
  Rng rng(seed, 0);
  for (const int n : lengths) {
    for (int i = 0; i < n; ++i) {
      rows.ids.push_back(static_cast<int32_t>(rng.below(kVocabulary)));
      rows.types.push_back(static_cast<int8_t>(2 * i >= n));
    }
    rows.offsets.push_back(static_cast<int64_t>(rows.ids.size()));
  }
  return rows;
}

struct Outcome {
  std::vector<float> hidden, gradients;
};

// Hidden states of the rows' tokens, and the gradients of all parameters for a loss over them.
Outcome run(const TransformerEncoder& transformer, const JaggedIds& rows, int64_t spare_tokens = 0,
            int64_t spare_rows = 0) {
  const int64_t tokens = rows.offsets.back(), capacity = tokens + spare_tokens,
                width = transformer.options().hidden_size;
  TokenTensors batch(rows.rows() + spare_rows, capacity);
  std::vector<int32_t> order;
  for (int32_t r = 0; r < rows.rows(); ++r) order.push_back(r);
  batch.fill(rows, order);
  Tensor weights = Tensor::zeros({DType::F32, {capacity, width}});
  for (int64_t i = 0; i < tokens * width; ++i)
    weights.data<float>()[i] = static_cast<float>(std::cos(0.3 * static_cast<double>(i)));
  Graph g;
  const TokenInputs in{g.constant(batch.ids), g.constant(batch.types), g.constant(batch.positions),
                       g.constant(batch.offsets)};
  const Value hidden = transformer(in, {});
  g.output("hidden", hidden);
  g.backward(sum(mul(hidden, g.constant(weights))));
  const auto parameters = transformer.parameters();
  for (const Parameter& p : parameters)
    if (const Value gradient = g.gradient(g.persistent(p.variable))) g.output(p.name(), gradient);
  Program program = compile(g);
  program.run({}, *make_stream({}));
  Outcome result;
  const auto y = program.output("hidden").span<float>();
  result.hidden.assign(y.begin(), y.begin() + tokens * width);
  for (const auto& [name, id] : g.outputs()) {
    if (name == "hidden") continue;
    const auto gradient = program.output(name).span<float>();
    result.gradients.insert(result.gradients.end(), gradient.begin(), gradient.end());
  }
  return result;
}

void expect_near(const std::vector<float>& a, const std::vector<float>& b, float tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], tolerance) << i;
}

TEST(TransformerTest, ResultsDependNeitherOnCapacityNorOnEmptyRows) {
  for (const TransformerOptions& options : kinds()) {
    TransformerEncoder transformer(options);
    transformer.initialize(1);
    const JaggedIds rows = rows_of({5, 1, 9});
    const Outcome plain = run(transformer, rows), spare = run(transformer, rows, 21, 4);
    expect_near(plain.hidden, spare.hidden, 1e-6f);
    expect_near(plain.gradients, spare.gradients, 2e-5f);
  }
}

TEST(TransformerTest, SequencesDoNotSeeEachOther) {
  for (const TransformerOptions& options : kinds()) {
    TransformerEncoder transformer(options);
    transformer.initialize(1);
    const JaggedIds together = rows_of({5, 1, 9});
    const Outcome all = run(transformer, together);
    for (size_t r = 0; r < 3; ++r) {
      const auto begin = together.offsets[r], end = together.offsets[r + 1];
      JaggedIds alone;
      alone.ids.assign(together.ids.begin() + begin, together.ids.begin() + end);
      alone.types.assign(together.types.begin() + begin, together.types.begin() + end);
      alone.offsets.push_back(end - begin);
      expect_near({all.hidden.begin() + begin * 8, all.hidden.begin() + end * 8}, run(transformer, alone).hidden,
                  1e-6f);
    }
  }
}

TEST(TransformerTest, ACausalTokenSeesNoLaterOne) {
  using Positions = TransformerOptions::Positions;
  for (const Positions positions : {Positions::Learned, Positions::Rotary}) {
    TransformerEncoder transformer(decoder(positions));
    transformer.initialize(1);
    JaggedIds rows = rows_of({7});
    const Outcome before = run(transformer, rows);
    rows.ids[4] = (rows.ids[4] + 1) % kVocabulary;
    const Outcome after = run(transformer, rows);
    EXPECT_TRUE(std::equal(before.hidden.begin(), before.hidden.begin() + 4 * 8, after.hidden.begin()));
    for (size_t t = 4; t < 7; ++t)
      EXPECT_FALSE(
          std::equal(before.hidden.begin() + t * 8, before.hidden.begin() + t * 8 + 8, after.hidden.begin() + t * 8));
  }
}

TEST(TransformerTest, RotaryPositionsTellTheOrderAndNotThePlace) {
  TransformerOptions options = decoder(TransformerOptions::Positions::Rotary);
  TransformerEncoder transformer(options);
  transformer.initialize(1);
  const auto hidden = [&](const std::vector<int64_t>& places) {
    Graph g;
    const auto constant = [&](const std::vector<int64_t>& v) {
      return g.constant(Tensor::of(v, {static_cast<int64_t>(v.size())}));
    };
    g.output("y", transformer({constant({3, 4, 5}), {}, constant(places), constant({0, 3})}, {}));
    Program program = compile(g);
    program.run({}, *make_stream({}));
    const auto y = program.output("y").span<float>();
    return std::vector<float>(y.begin(), y.end());
  };
  const std::vector<float> here = hidden({0, 1, 2});
  expect_near(here, hidden({100, 101, 102}), 1e-5f);
  const std::vector<float> apart = hidden({0, 1, 4});
  EXPECT_GT(std::abs(apart[2 * 8] - here[2 * 8]), 1e-3f);
}

TEST(TransformerTest, BitsAreTheSameForAnyNumberOfThreads) {
  const int threads = num_threads();
  for (const TransformerOptions& options : kinds()) {
    TransformerEncoder transformer(options);
    transformer.initialize(1);
    const JaggedIds rows = rows_of({31, 1, 9, 32, 17, 30, 2, 28});
    set_num_threads(1);
    const Outcome one = run(transformer, rows);
    for (const int n : {2, 3}) {
      set_num_threads(n);
      const Outcome other = run(transformer, rows);
      EXPECT_EQ(one.hidden, other.hidden);
      EXPECT_EQ(one.gradients, other.gradients);
    }
  }
  set_num_threads(threads);
}

// The loss in double: every parameter is replaced by a double one.
class DoubleLoss {
 public:
  explicit DoubleLoss(const TransformerEncoder& transformer) {
    const JaggedIds rows = rows_of({4, 1, 6});
    TokenTensors batch(3, 13);
    const int32_t order[] = {0, 1, 2};
    batch.fill(rows, order);
    parameters = transformer.parameters();
    Tensor weights = Tensor::zeros({DType::F64, {13, 8}});
    for (int64_t i = 0; i < 11 * 8; ++i) weights.data<double>()[i] = std::cos(0.3 * static_cast<double>(i));
    for (Parameter& p : parameters) p.variable->value = p.value().to(DType::F64);
    const TokenInputs in{g.constant(batch.ids), g.constant(batch.types), g.constant(batch.positions),
                         g.constant(batch.offsets)};
    const Value loss = sum(mul(transformer(in, {}), g.constant(weights)));
    g.output("loss", loss);
    g.backward(loss);
    for (const Parameter& p : parameters) g.output(p.name(), g.gradient(g.persistent(p.variable)));
    program = std::make_unique<Program>(compile(g));
  }
  double operator()() {
    program->run({}, *stream);
    return program->output("loss").item<double>();
  }
  Graph g;
  std::vector<Parameter> parameters;
  std::unique_ptr<Program> program;
  std::unique_ptr<Stream> stream = make_stream({});
};

TEST(TransformerTest, GradientsAgreeWithCentralDifferences) {
  const int threads = num_threads();
  set_num_threads(1);  // thousands of tiny steps
  for (const TransformerOptions& options : kinds()) {
    TransformerEncoder transformer(options);
    transformer.initialize(2);
    DoubleLoss loss(transformer);
    loss();
    std::map<std::string, Tensor> gradients;
    for (const Parameter& p : loss.parameters) gradients[p.name()] = loss.program->output(p.name()).clone();
    for (const Parameter& p : loss.parameters) {
      const auto values = p.value().span<double>(), gradient = gradients.at(p.name()).span<double>();
      for (size_t i = 0; i < values.size(); i += 1 + values.size() / 5) {
        constexpr double kStep = 1e-5;
        const double at = values[i];
        values[i] = at + kStep;
        const double above = loss();
        values[i] = at - kStep;
        const double below = loss();
        values[i] = at;
        EXPECT_NEAR(gradient[i], (above - below) / (2 * kStep), 1e-7 * std::max(1.0, std::abs(gradient[i])) + 1e-8)
            << p.name() << "[" << i << "]";
      }
    }
  }
  set_num_threads(threads);
}

TEST(TransformerTest, PooledVectorsOfFirstMeanAndLargest) {
  Graph g;
  const Value hidden = g.constant(Tensor::of({1.f, -2.f, 3.f, 4.f, 5.f, -9.f, 7.f, 8.f}, {4, 2}));
  const Value offsets = g.constant(Tensor::of<int64_t>({0, 3, 4}, {3}));
  for (const auto& [name, pooling] :
       {std::pair{"cls", TokenPooling::Cls}, {"mean", TokenPooling::Mean}, {"max", TokenPooling::Max}})
    g.output(name, pool_tokens(hidden, offsets, pooling));
  Program program = compile(g);
  program.run({}, *make_stream({}));
  const auto got = [&](const char* name) {
    const auto y = program.output(name).span<float>();
    return std::vector<float>(y.begin(), y.end());
  };
  EXPECT_EQ(got("cls"), (std::vector<float>{1, -2, 7, 8}));
  expect_near(got("mean"), {3, -7.f / 3, 7, 8}, 1e-6f);
  EXPECT_EQ(got("max"), (std::vector<float>{5, 4, 7, 8}));
}

TEST(TransformerTest, OptionsThatDoNotFitAreErrors) {
  TransformerOptions o = decoder(TransformerOptions::Positions::Rotary);
  o.hidden_size = 6;
  EXPECT_EQ(text_of<ConfigError>([&] { TransformerEncoder e(o); }),
            "transformer: rotary positions turn pairs: heads of width 3 are not even");
  o.num_attention_heads = 4;
  EXPECT_EQ(text_of<ConfigError>([&] { TransformerEncoder e(o); }),
            "transformer: hidden_size 6 is not a multiple of num_attention_heads 4");
}

}  // namespace
}  // namespace winnow
