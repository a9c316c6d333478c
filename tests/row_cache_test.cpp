// The cache in front of embedding tables in host memory: which rows give way, and that training is the same.
#include "nn/row_cache.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "core/file.h"
#include "tests/cached_clicks.h"
#include "tests/data_files.h"
#include "train/checkpoint.h"
#include "train/ctr_training.h"
#include "train/trainer.h"

namespace winnow {
namespace {

using Rows = std::vector<int64_t>;

// One batch: the rows that gave way, in the order of the places they left.
Rows evicted(CacheSlots& cache, const Rows& rows, bool changes = false) {
  Rows slots(rows.size());
  std::vector<CacheSlots::Move> moves;
  cache.place(rows, changes, slots, moves);
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(cache.row(slots[i]), rows[i]);
  EXPECT_EQ(std::set<int64_t>(slots.begin(), slots.end()).size(), rows.size()) << "a slot each";
  Rows gone;
  for (const CacheSlots::Move& move : moves) {
    EXPECT_EQ(cache.row(move.slot), move.row);
    if (move.evicted >= 0) gone.push_back(move.evicted);
  }
  return gone;
}

TEST(CacheSlots, EmptySlotsAreTakenFirst) {
  CacheSlots cache(100, 3, CachePolicy::Lru);
  EXPECT_EQ(evicted(cache, {5, 7}), Rows{});
  EXPECT_EQ(evicted(cache, {7, 99}), Rows{});
  EXPECT_EQ(cache.used(), 3);
  EXPECT_EQ(evicted(cache, {0}), Rows{5});
}

TEST(CacheSlots, TheLeastRecentlyUsedRowGivesWay) {
  CacheSlots cache(100, 4, CachePolicy::Lru);
  evicted(cache, {1, 2, 3, 4});
  evicted(cache, {2});
  evicted(cache, {1});
  EXPECT_EQ(evicted(cache, {10, 11}), (Rows{3, 4}));
  EXPECT_EQ(evicted(cache, {12}), Rows{2});
  EXPECT_EQ(evicted(cache, {1, 10, 20, 21}), (Rows{11, 12})) << "never a row of the batch";
}

TEST(CacheSlots, TheLeastFrequentlyUsedRowGivesWay) {
  CacheSlots cache(100, 4, CachePolicy::Lfu);
  for (int i = 0; i < 3; ++i) evicted(cache, {1});
  evicted(cache, {2});
  evicted(cache, {2});
  evicted(cache, {3, 4});
  EXPECT_EQ(evicted(cache, {10}), Rows{3}) << "of equal ones the older";
  EXPECT_EQ(evicted(cache, {11}), Rows{4});
  EXPECT_EQ(evicted(cache, {12}), Rows{10}) << "1 and 2 were used more often, if longer ago";
  EXPECT_EQ(evicted(cache, {20, 21, 22}), (Rows{11, 12, 2}));
  EXPECT_EQ(evicted(cache, {23, 24, 25}), (Rows{20, 21, 22})) << "1 stays";
  CacheSlots lru(100, 4, CachePolicy::Lru);
  for (const Rows& rows : {Rows{1}, Rows{1}, Rows{2}, Rows{3}, Rows{4}}) evicted(lru, rows);
  EXPECT_EQ(evicted(lru, {10}), Rows{1});
}

TEST(CacheSlots, UsesAreCountedUpTo255) {
  CacheSlots cache(10, 2, CachePolicy::Lfu);
  for (int i = 0; i < 300; ++i) evicted(cache, {1});
  for (int i = 0; i < 260; ++i) evicted(cache, {2});
  EXPECT_EQ(evicted(cache, {3}), Rows{1}) << "both at the most: the older use";
}

TEST(CacheSlots, RowsThatWereWrittenToComeBack) {
  CacheSlots cache(100, 2, CachePolicy::Lru);
  Rows slots(2);
  std::vector<CacheSlots::Move> moves;
  cache.place(Rows{1, 2}, true, slots, moves);
  EXPECT_FALSE(moves[0].changed || moves[1].changed) << "the slots were empty";
  cache.place(Rows{2}, false, slots, moves);
  cache.place(Rows{3}, false, slots, moves);
  EXPECT_TRUE(moves[0].changed && moves[0].evicted == 1);
  cache.place(Rows{4}, false, slots, moves);
  EXPECT_TRUE(moves[0].changed && moves[0].evicted == 2) << "read since, but not written back";
  cache.place(Rows{5}, false, slots, moves);
  EXPECT_FALSE(moves[0].changed);
  cache.place(Rows{5}, true, slots, moves);
  EXPECT_TRUE(cache.changed(slots[0]));
  cache.mark_unchanged();
  EXPECT_FALSE(cache.changed(slots[0]));
  cache.clear();
  EXPECT_EQ(evicted(cache, {5, 6}), Rows{}) << "all empty";
}

TEST(CacheSlots, MoreRowsThanSlotsIsAnError) {
  CacheSlots cache(100, 2, CachePolicy::Lfu);
  Rows slots(3);
  std::vector<CacheSlots::Move> moves;
  EXPECT_THROW(cache.place(Rows{1, 2, 3}, false, slots, moves), Error);
  EXPECT_THROW(CacheSlots(100, 0, CachePolicy::Lru), ConfigError);
}

// Against a cache that searches all its slots.
TEST(CacheSlots, LongRunsAgreeWithASearch) {
  struct Held {
    int64_t batch = 0, place = 0, uses = 0;
  };
  for (const CachePolicy policy : {CachePolicy::Lru, CachePolicy::Lfu}) {
    constexpr int64_t kSlots = 20;
    CacheSlots cache(60, kSlots, policy);
    std::map<int64_t, Held> held;
    Rng rng(4, static_cast<uint64_t>(policy));
    for (int64_t batch = 1; batch <= 2000; ++batch) {
      std::set<int64_t> rows;
      while (rows.size() < 1 + rng.below(kSlots - 2))
        rows.insert(static_cast<int64_t>(rng.uniform() * rng.uniform() * 60));
      const Rows gone = evicted(cache, Rows(rows.begin(), rows.end()));
      Rows wanted, missing;
      int64_t place = 0;
      for (const int64_t row : rows) {
        if (!held.contains(row)) {
          missing.push_back(row);
          continue;
        }
        Held& h = held[row];
        h = {batch, place++, std::min<int64_t>(h.uses + 1, 255)};
      }
      for (const int64_t row : missing) {
        if (held.size() == kSlots) {
          const auto key = [&](const auto& entry) {
            const Held& h = entry.second;
            return std::tuple(h.batch == batch, policy == CachePolicy::Lfu ? h.uses : 0, h.batch, h.place);
          };
          const auto least = std::ranges::min_element(held, {}, key);
          wanted.push_back(least->first);
          held.erase(least);
        }
        held[row] = {batch, place++, 1};
      }
      ASSERT_EQ(gone, wanted) << "batch " << batch;
    }
  }
}

// On the CPU, where sums have the same order whatever holds the rows.
void expect_same_training(const CachedClicks& cached) {
  CachedClicks whole = cached;
  whole.cache_rows = 0;
  const ClickOutcome expected = train_clicks(whole), found = train_clicks(cached);
  EXPECT_EQ(expected.losses, found.losses);
  EXPECT_EQ(expected.predictions, found.predictions);
  EXPECT_EQ(expected.tensors, found.tensors);
  EXPECT_FALSE(expected.counts);
  ASSERT_TRUE(found.counts);
  EXPECT_GT(found.counts->hits, 0);
  EXPECT_GT(found.counts->bytes_out, 0);
  if (cached.predict_every == 0) { EXPECT_GT(found.fewest_out, 0) << "a step that evicts nothing tests little"; }
}

TEST(RowCache, EveryOptimizerTrainsAsWithoutOne) {
  for (const char* optimizer : {"sgd", "adagrad", "rowwise_adagrad", "adam_lazy", "ftrl"})
    for (const CachePolicy policy : {CachePolicy::Lru, CachePolicy::Lfu}) {
      SCOPED_TRACE(optimizer);
      expect_same_training({.optimizer = optimizer, .cache_rows = most_rows(false, 12), .policy = policy, .steps = 12});
    }
}

TEST(RowCache, BagsTrainAsWithoutOne) {
  for (const CachePolicy policy : {CachePolicy::Lru, CachePolicy::Lfu})
    expect_same_training({.cache_rows = most_rows(true, 12) + 1, .policy = policy, .bags = true, .steps = 12});
}

TEST(RowCache, EveryModelTrainsAsWithoutOne) {
  for (const std::string& name : ctr_model_names()) {
    SCOPED_TRACE(name);
    CachedClicks whole{.model = name, .steps = 4}, cached = whole;
    cached.cache_rows = most_rows(false, 4);
    EXPECT_EQ(train_clicks(whole).tensors, train_clicks(cached).tensors);
  }
}

TEST(RowCache, PredictionsBetweenStepsSeeTheRowsAsTheyAre) {
  expect_same_training({.optimizer = "adam_lazy", .cache_rows = most_rows(false, 12), .predict_every = 2, .steps = 12});
}

// Epochs of a few batches, validated by the sum of the predictions of one.
class ClickTask final : public TrainTask {
 public:
  ClickTask(const CachedClicks& options, CtrModel& model) : options_(options), model_(model), batch_(batch_of(1)) {}
  Module& model() override { return model_; }
  int64_t steps_in_epoch(int64_t) const override { return 5; }
  int64_t rows_per_step() const override { return kClickRows; }
  Value record_loss(Graph& graph, Value step, int64_t) override {
    const CtrInputs in{graph.input("ids", batch_.ids.spec()), {}, graph.input("dense", batch_.dense.spec())};
    const Value label = graph.input("label", batch_.label.spec()), weight = graph.input("weight", batch_.weight.spec());
    return bce_with_logits(model_.logits(in, {step, weight, true}), label, weight);
  }
  std::span<const Tensor> next_batch() override {
    if (at_.row == steps_in_epoch(0)) return {};
    batch_ = batch_of(++at_.row + at_.epoch * 2);
    feeds_ = {batch_.ids, batch_.dense, batch_.label, batch_.weight};
    return feeds_;
  }
  void start_epoch(int64_t epoch) override { at_ = {epoch, 0}; }
  std::string cursor() const override { return at_.str(); }
  void seek(const std::string& cursor) override { at_ = Cursor::parse(cursor); }
  std::vector<NamedMetric> validate() override {
    ClickGraph inference(options_, model_, false);
    inference.graph.output("logits", inference.logits);
    Program program = compile(inference.graph);
    program.run(ClickGraph::feeds(options_, 0, batch_of(3)), *make_stream(options_.device));
    const Tensor logits = program.output("logits");
    return {{"score", std::accumulate(logits.span<float>().begin(), logits.span<float>().end(), 0.0)}};
  }

 private:
  ClickBatch batch_of(int64_t n) const { return click_batch(false, static_cast<uint64_t>(n)); }
  CachedClicks options_;
  CtrModel& model_;
  ClickBatch batch_;
  std::vector<Tensor> feeds_;
  Cursor at_;
};

struct TrainedClicks {
  std::map<std::string, std::string> checkpoints;  // bytes
  std::map<std::string, std::vector<float>> parameters;
  std::vector<double> losses, hit_rates;
};

TrainedClicks train_epochs(const CachedClicks& o, const std::vector<int64_t>& epochs) {
  TemporaryDirectory run;
  const std::atomic<bool> never{false};
  TrainedClicks out;
  for (size_t i = 0; i < epochs.size(); ++i) {
    const auto model = click_model(o);
    ClickTask task(o, *model);
    TrainOptions options;
    options.epochs = epochs[i];
    options.monitor = "score";
    options.checkpoint_steps = 3;
    options.patience = 10;
    options.optimizer.embedding = o.optimizer;
    SilentListener silent;
    Trainer(task, options, run.path(), silent, never).run(i > 0);
    out.parameters.clear();
    for (const Parameter& p : model->parameters())
      out.parameters[p.name()] = {p.value().span<float>().begin(), p.value().span<float>().end()};
  }
  for (const std::string& path : CheckpointDirectory(run.path()).files())
    out.checkpoints[path.substr(path.rfind('/'))] = read_text(path, size_t{1} << 24);
  std::istringstream lines(read_text(run.path() + "/metrics.jsonl", size_t{1} << 20));
  for (std::string line; std::getline(lines, line);) {
    const auto j = nlohmann::json::parse(line);
    if (j.contains("loss")) out.losses.push_back(j.at("loss"));
    if (j.contains("valid_score")) out.losses.push_back(j.at("valid_score"));
    if (j.contains("cache_hit_rate")) out.hit_rates.push_back(j.at("cache_hit_rate"));
  }
  return out;
}

TEST(RowCache, CheckpointsAndTheirResumeAreThoseWithoutOne) {
  CachedClicks whole{.optimizer = "adam_lazy"}, cached = whole;
  cached.cache_rows = most_rows(false, 9);
  const TrainedClicks expected = train_epochs(whole, {3}), found = train_epochs(cached, {3}),
                      resumed = train_epochs(cached, {1, 3});
  EXPECT_EQ(expected.checkpoints.size(), 2u);
  EXPECT_TRUE(expected.hit_rates.empty());
  for (const TrainedClicks* run : {&found, &resumed}) {
    EXPECT_EQ(expected.checkpoints, run->checkpoints);
    EXPECT_EQ(expected.parameters, run->parameters);
    EXPECT_EQ(expected.losses, run->losses);
    ASSERT_EQ(run->hit_rates.size(), 3u);
    for (const double rate : run->hit_rates) EXPECT_TRUE(rate > 0 && rate < 1) << rate;
  }
}

TEST(RowCache, ABatchOfMoreRowsThanTheCacheHasSaysHowMany) {
  const int64_t most = most_rows(false, 8);
  try {
    train_clicks({.cache_rows = most - 1});
    FAIL() << "no error";
  } catch (const ConfigError& e) {
    EXPECT_NE(std::string(e.what()).find(fmt::format("embedding_cache_rows to at least {}", most)), std::string::npos)
        << e.what();
  }
}

TEST(RowCache, TablesOfSeveralWidthsHaveACacheEach) {
  struct Holder final : Module {
    explicit Holder(const std::shared_ptr<RowCaches>& caches)
        : table(&child<EmbeddingTable>(
              "embedding", std::vector<EmbeddingField>{{.rows = 50}, {.rows = 30, .dim = 4}},
              EmbeddingOptions{.dim = 8, .init = Init::normal(1), .dtype = DType::F32, .caches = caches})) {}
    EmbeddingTable* table;
  };
  Holder whole(nullptr), cached(std::make_shared<RowCaches>(3, CachePolicy::Lru));
  const auto outputs = [](Holder& model) {
    model.initialize(1);
    Graph g;
    const Value ids = g.input("ids", {DType::I64, {3, 2}});
    g.output("out", (*model.table)(ids, {}));
    Program program = compile(g);
    const auto stream = make_stream({});
    std::vector<float> all;
    for (int64_t i = 0; i < 6; ++i) {
      program.run(std::vector{Tensor::of<int64_t>({i, 2 * i, i + 9, 3 * i, 49, 29}, {3, 2})}, *stream);
      const Tensor out = program.output("out");
      all.insert(all.end(), out.span<float>().begin(), out.span<float>().end());
    }
    return all;
  };
  EXPECT_EQ(outputs(whole), outputs(cached));
}

// More rows than one transfer has room for.
TEST(RowCache, ManyRowsMoveInSeveralTransfers) {
  constexpr int64_t kRows = 100000, kIds = 40000;
  const auto cache = std::make_shared<RowCache>(BagFeatures{.row_base = {0}, .rows = {kRows}, .padding_id = 0}, kIds,
                                                CachePolicy::Lru);
  const auto whole = std::make_shared<Variable>(Variable{"table", Tensor({DType::F32, {kRows, 3}}), false, true});
  std::iota(whole->value.span<float>().begin(), whole->value.span<float>().end(), 0.0f);
  Graph g;
  const Value ids = g.input("ids", {DType::I64, {kIds, 1}}), table = g.persistent(cache->resident(whole));
  g.output("rows", embedding_bag(table, cache->slot_ids(g, ids, {}), cache->features({Pooling::Sum})));
  Program program = compile(g);
  const auto stream = make_stream({});
  Rng rng(3, 0);
  for (int pass = 0; pass < 3; ++pass) {
    Tensor batch({DType::I64, {kIds, 1}});
    for (int64_t& id : batch.span<int64_t>()) id = static_cast<int64_t>(rng.below(kRows));
    program.run(std::vector{batch}, *stream);
    const Tensor rows = program.output("rows");
    for (int64_t i = 0; i < kIds; ++i) {
      const int64_t id = batch.data<int64_t>()[i];
      ASSERT_EQ(rows.data<float>()[i * 3 + 2], id == 0 ? 0.0f : static_cast<float>(id * 3 + 2));
    }
  }
}

TEST(RowCache, WhatMovesEveryRowIsRefused) {
  EXPECT_THROW(train_clicks({.optimizer = "adam", .cache_rows = 64}), ConfigError);
  EmbeddingOptions options{.dim = 4,
                           .init = Init::normal(1),
                           .dtype = DType::F32,
                           .caches = std::make_shared<RowCaches>(8, CachePolicy::Lru)};
  EXPECT_THROW(EmbeddingTable({{.rows = 9, .pooling = Pooling::Max}}, options), ConfigError);
  options.dtype = DType::BF16;
  EXPECT_THROW(EmbeddingTable({{.rows = 9}}, options), ConfigError);
}

TEST(RowCache, TwoLookupsWithOtherIdsAreRefused) {
  const auto cache =
      std::make_shared<RowCache>(BagFeatures{.row_base = {0}, .rows = {9}, .padding_id = 0}, 4, CachePolicy::Lru);
  Graph g;
  const Value a = g.input("a", {DType::I64, {4, 1}}), b = g.input("b", {DType::I64, {4, 1}});
  cache->slot_ids(g, a, {});
  EXPECT_NO_THROW(cache->slot_ids(g, a, {}));
  EXPECT_THROW(cache->slot_ids(g, b, {}), ConfigError);
}

}  // namespace
}  // namespace winnow
