// Row-sparse training: it must equal dense training, touch only what it should, and give the same bits on any number
// of threads.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/parallel.h"
#include "core/program.h"
#include "core/rng.h"
#include "ops/clip.h"
#include "ops/embedding_bag.h"
#include "ops/optimizers.h"
#include "ops/regularize.h"
#include "ops/sparse_optimizers.h"

namespace winnow {
namespace {

constexpr int64_t kRows = 1000, kDim = 16, kBatch = 256, kFeatures = 3, kCapacity = 1500;

Tensor normal(const Shape& shape, uint64_t seed, double scale = 1) {
  Tensor t({DType::F32, shape});
  Rng rng(seed);
  for (float& x : t.span<float>()) x = static_cast<float>(scale * rng.normal());
  return t;
}

// Skewed ids of one table, some missing; half of each batch repeats few rows.
Tensor skewed_ids(const Shape& shape, int64_t rows, uint64_t seed) {
  Tensor t({DType::I64, shape});
  Rng rng(seed);
  for (int64_t& id : t.span<int64_t>()) {
    const double u = rng.uniform();
    id = static_cast<int64_t>(static_cast<double>(rows + 2) * u * u * u) - 1;  // -1 .. rows
  }
  return t;
}

Tensor bag_offsets(int64_t bags, int64_t total, uint64_t seed) {
  Tensor t({DType::I64, {bags + 1}});
  Rng rng(seed);
  for (int64_t& x : t.span<int64_t>()) x = static_cast<int64_t>(rng.below(static_cast<uint64_t>(total + 1)));
  std::sort(t.data<int64_t>(), t.data<int64_t>() + bags + 1);
  t.data<int64_t>()[0] = 0;
  return t;
}

VariablePtr variable(const std::string& name, Tensor value, bool row_sparse = false, bool trainable = true) {
  return std::make_shared<Variable>(Variable{name, std::move(value), trainable, row_sparse});
}

// A model with two uses of one stack: single ids in three tables, and weighted bags by mean and sum in two of them.
struct Trained {
  Tensor table;
  std::vector<Tensor> state;
};

struct Setup {
  std::string optimizer;  // of the table, as in sparse_<name>
  bool row_sparse = true;
  int steps = 1;
  double l2 = 0, max_norm = 0;
  int threads = 2;
};

Value model(Graph& g, Value table, Value ids, Value bag_ids, Value offsets, Value weights, Value target) {
  const Value e = embedding_bag(table, ids, {.row_base = {0, 400, 700}, .rows = {400, 300, 300}});
  const Value b = embedding_bag(table, bag_ids,
                                {.row_base = {0, 700}, .rows = {400, 300}, .pooling = {Pooling::Mean, Pooling::Sum}},
                                {.offsets = offsets, .weights = weights});
  const Value all = g.apply_all("concat", {e, b}, {{"axis", int64_t{1}}})[0];
  return l2_penalty(g.apply("sub", {g.apply("mul", {all, all}), target}));
}

void emit_sparse(Graph& g, const Setup& s, Value table, const std::vector<Value>& state, StepScalars step) {
  const RowSegments rows = row_segments(g, g.row_gradients(table));
  if (s.max_norm > 0) step.scale = clip_scale(global_norm({}, {segment_sqnorm(rows)}), s.max_norm);
  const RowOptions o{.l2 = s.l2};
  if (s.optimizer == "sgd") sparse_sgd(table, rows, step, o);
  if (s.optimizer == "adagrad") sparse_adagrad(table, state[0], rows, step, 1e-10, o);
  if (s.optimizer == "rowwise_adagrad") sparse_rowwise_adagrad(table, state[0], rows, step, 1e-10, o);
  if (s.optimizer == "adam") sparse_adam(table, state[0], state[1], rows, step, {}, o);
  if (s.optimizer == "adam_lazy") sparse_adam_lazy(table, state[0], state[1], rows, step, {}, o);
  if (s.optimizer == "ftrl") sparse_ftrl(table, state[0], state[1], rows, step, 1, o);
}

void emit_dense(const Graph& g, const Setup& s, Value table, const std::vector<Value>& state, StepScalars step) {
  DenseGroup group{{table}, {g.gradient(table)}, {}};
  for (const Value v : state) group.state.push_back({v});
  if (s.max_norm > 0) step.scale = clip_scale(global_norm(group.grads), s.max_norm);
  if (s.optimizer == "sgd") sgd(group, step, {.weight_decay = s.l2});
  if (s.optimizer == "adagrad") adagrad(group, step, {.weight_decay = s.l2});
  if (s.optimizer == "adam") adam(group, step, {.weight_decay = s.l2});
  if (s.optimizer == "ftrl") ftrl(group, step, {.l2 = s.l2});
}

Trained train(const Setup& s) {
  set_num_threads(s.threads);
  Graph g;
  const Value ids = g.input("ids", {DType::I64, {kBatch, kFeatures}}),
              bag_ids = g.input("bag_ids", {DType::I64, {kCapacity}});
  const Value offsets = g.input("offsets", {DType::I64, {kBatch * 2 + 1}}),
              weights = g.input("weights", {DType::F32, {kCapacity}});
  const Value target = g.input("target", {DType::F32, {kBatch, kFeatures + 2, kDim}});
  const StepScalars step{g.input("lr", {DType::F32, {}}), g.input("step", {DType::I64, {}}), {}};
  const auto variable_of_table = variable("table", normal({kRows, kDim}, 1, 0.3), s.row_sparse);
  const Value table = g.persistent(variable_of_table);
  g.backward(model(g, table, ids, bag_ids, offsets, weights, target));

  std::vector<VariablePtr> state;
  std::vector<Value> state_values;
  for (const StateSpec& spec : sparse_state("sparse_" + s.optimizer, table.spec())) {
    state.push_back(variable("table." + spec.name, Tensor::zeros(spec.spec), false, false));
    state_values.push_back(g.persistent(state.back()));
  }
  s.row_sparse ? emit_sparse(g, s, table, state_values, step) : emit_dense(g, s, table, state_values, step);

  Program program = compile(g);
  const auto stream = make_stream({});
  for (int t = 1; t <= s.steps; ++t) {
    const auto seed = static_cast<uint64_t>(100 * t);
    const std::vector<Tensor> feeds = {skewed_ids({kBatch, kFeatures}, 300, seed),
                                       skewed_ids({kCapacity}, 300, seed + 1),
                                       bag_offsets(kBatch * 2, kCapacity - 20, seed + 2),
                                       normal({kCapacity}, seed + 3),
                                       normal({kBatch, kFeatures + 2, kDim}, seed + 4),
                                       Tensor::of<float>({0.01f}, {}),
                                       Tensor::of<int64_t>({t}, {})};
    program.run(feeds, *stream);
  }
  Trained result{variable_of_table->value, {}};
  for (const auto& v : state) result.state.push_back(v->value);
  return result;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  double most = 0;
  for (int64_t i = 0; i < a.numel(); ++i)
    most = std::max(most, static_cast<double>(std::abs(a.data<float>()[i] - b.data<float>()[i])));
  return most;
}
bool same_bits(const Tensor& a, const Tensor& b) { return std::memcmp(a.raw(), b.raw(), a.bytes()) == 0; }

class EveryOptimizer : public testing::TestWithParam<const char*> {};

TEST_P(EveryOptimizer, GivesTheSameBitsOnAnyNumberOfThreads) {
  const Trained one = train({.optimizer = GetParam(), .steps = 3, .max_norm = 5, .threads = 1});
  for (const int threads : {2, 3, 7}) {
    const Trained many = train({.optimizer = GetParam(), .steps = 3, .max_norm = 5, .threads = threads});
    EXPECT_TRUE(same_bits(one.table, many.table)) << threads << " threads";
    for (size_t i = 0; i < one.state.size(); ++i)
      EXPECT_TRUE(same_bits(one.state[i], many.state[i])) << threads << " threads";
  }
}
INSTANTIATE_TEST_SUITE_P(Embedding, EveryOptimizer,
                         testing::Values("sgd", "adagrad", "rowwise_adagrad", "adam", "adam_lazy", "ftrl"));

// On rows without an occurrence these leave the table as it was, exactly as a dense step of gradient zero does.
class EqualsDense : public testing::TestWithParam<const char*> {};

TEST_P(EqualsDense, AfterOneStepAndAfterTwenty) {
  for (const int steps : {1, 20}) {
    const Trained sparse = train({.optimizer = GetParam(), .row_sparse = true, .steps = steps});
    const Trained dense = train({.optimizer = GetParam(), .row_sparse = false, .steps = steps});
    EXPECT_GT(largest_difference(sparse.table, normal({kRows, kDim}, 1, 0.3)), 1e-3);
    EXPECT_LT(largest_difference(sparse.table, dense.table), steps == 1 ? 2e-6 : 2e-5) << steps << " steps";
  }
}
INSTANTIATE_TEST_SUITE_P(Embedding, EqualsDense, testing::Values("sgd", "adagrad", "adam"));

TEST(SparseAdam, WholeTableL2EqualsDenseAdamWithWeightDecay) {
  const Trained sparse = train({.optimizer = "adam", .row_sparse = true, .steps = 20, .l2 = 0.01});
  const Trained dense = train({.optimizer = "adam", .row_sparse = false, .steps = 20, .l2 = 0.01});
  EXPECT_LT(largest_difference(sparse.table, dense.table), 2e-5);
  EXPECT_LT(largest_difference(sparse.state[1], dense.state[1]), 1e-5);
}

TEST(SparseClipping, ByGlobalNormEqualsDense) {
  const Trained sparse = train({.optimizer = "sgd", .row_sparse = true, .steps = 5, .max_norm = 0.5});
  const Trained dense = train({.optimizer = "sgd", .row_sparse = false, .steps = 5, .max_norm = 0.5});
  const Trained free = train({.optimizer = "sgd", .row_sparse = true, .steps = 5});
  EXPECT_LT(largest_difference(sparse.table, dense.table), 2e-6);
  EXPECT_GT(largest_difference(sparse.table, free.table), 1e-3);
}

TEST(LazyAdam, LeavesUntouchedRowsAlone) {
  const Trained lazy = train({.optimizer = "adam_lazy", .steps = 1});
  const Tensor before = normal({kRows, kDim}, 1, 0.3);
  for (int64_t row = 300; row < 400; ++row)  // no id reaches them
    EXPECT_EQ(
        std::memcmp(lazy.table.data<float>() + row * kDim, before.data<float>() + row * kDim, kDim * sizeof(float)), 0);
  const Trained exact = train({.optimizer = "adam", .steps = 1});
  EXPECT_LT(largest_difference(lazy.table, exact.table), 1e-6);  // the first step of both is the same
}

TEST(EmbeddingBag, TwoLookupsOfTheSameIdsShareOneSort) {
  Graph g;
  const Value ids = g.input("ids", {DType::I64, {8, 2}});
  const Value table = g.persistent(variable("table", normal({10, 4}, 1), true));
  const Value wide = g.persistent(variable("wide", normal({10, 1}, 2), true));
  const BagFeatures features{.row_base = {0, 5}, .rows = {5, 5}};
  const Value loss =
      g.apply("add", {l2_penalty(embedding_bag(table, ids, features)), l2_penalty(embedding_bag(wide, ids, features))});
  g.backward(loss);
  const StepScalars step{g.scalar(0.1), g.constant(Tensor::of<int64_t>({1}, {})), {}};
  for (const Value t : {table, wide}) sparse_sgd(t, row_segments(g, g.row_gradients(t)), step);
  const std::string text = compile(g).dump();
  const size_t first = text.find("embedding_segments");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(text.find("embedding_segments", first + 1), std::string::npos) << text;
}

TEST(EmbeddingBag, MaxPoolingOfARowSparseTableIsRefusedWithTheReason) {
  Graph g;
  const Value table = g.persistent(variable("table", normal({10, 4}, 1), true));
  const Value out = embedding_bag(table, g.input("ids", {DType::I64, {6}}),
                                  {.row_base = {0}, .rows = {10}, .pooling = {Pooling::Max}},
                                  {.offsets = g.input("offsets", {DType::I64, {4}})});
  try {
    g.backward(l2_penalty(out));
    FAIL() << "expected a ShapeError";
  } catch (const ShapeError& e) {
    EXPECT_NE(std::string(e.what()).find("make the table dense"), std::string::npos) << e.what();
  }
}

TEST(StochasticRounding, MovesBf16RowsByTheRightAmountOnAverage) {
  constexpr int64_t kColumns = 4096;
  Tensor table = Tensor({DType::F32, {1, kColumns}});
  for (float& x : table.span<float>()) x = 1;
  table = table.to(DType::BF16);
  const Tensor dy = Tensor({DType::F32, {1, kColumns}});
  for (float& x : dy.span<float>()) x = 1;
  const std::vector<Tensor> in = {table,
                                  Tensor::of<int64_t>({0}, {1}),
                                  Tensor::of<int32_t>({0, 1}, {2}),
                                  Tensor::of<int64_t>({1}, {}),
                                  Tensor::of<int32_t>({0}, {1}),
                                  Tensor::of<float>({1}, {1}),
                                  dy,
                                  Tensor::of<float>({1.0f / 1024}, {}),  // a quarter of the step below 1
                                  Tensor::of<int64_t>({1}, {}),
                                  Tensor::of<float>({1}, {})};
  const auto mean_after = [&](const Attrs& attrs) {
    std::vector<Tensor> copy = in;
    copy[0] = table.clone();
    run_eager("sparse_sgd", copy, attrs);
    double sum = 0;
    for (const bf16 x : copy[0].span<bf16>()) sum += static_cast<double>(static_cast<float>(x));
    return sum / kColumns;
  };
  EXPECT_EQ(mean_after({}), 1.0);  // to nearest: the update is lost
  const double mean = mean_after({{"stochastic_rounding", int64_t{1}}, {"seed", int64_t{3}}, {"stream", int64_t{1}}});
  EXPECT_NEAR(mean, 1 - 1.0 / 1024, 1.5e-4);  // 4.4 standard errors
}

}  // namespace
}  // namespace winnow
