// The cache in front of embedding tables in host memory: which rows give way, and that training is the same.
#include "nn/row_cache.h"

#include <gtest/gtest.h>

#include <numeric>
#include <tuple>

#include "core/parallel.h"
#include "tests/cached_training.h"

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
  EXPECT_EQ(evicted(cache, {23, 24, 25}), (Rows{22, 21, 20})) << "1 stays; of the same batch the lower slot";
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
  EXPECT_TRUE(cache.changed(slots[0])) << "the batch that was placed last may not have written to it yet";
  Rows others(1);
  cache.place(Rows{4}, false, others, moves);
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

// Against a cache that sorts all its slots where the rows that give way are listed anew.
class SortedSlots {
 public:
  SortedSlots(int64_t slots, CachePolicy policy) : held_(static_cast<size_t>(slots) + 1), policy_(policy) {}
  Rows evicted(const std::set<int64_t>& rows) {
    ++batch_;
    Rows missing, gone;
    for (const int64_t row : rows) {
      const auto slot = std::ranges::find(held_.begin() + 1, held_.end(), row, &Held::row);
      if (slot == held_.end()) {
        missing.push_back(row);
      } else {
        *slot = {row, batch_, std::min<int64_t>(slot->uses + 1, 255)};
      }
    }
    for (const int64_t row : missing) {
      const auto empty = std::ranges::find(held_.begin() + 1, held_.end(), -1, &Held::row);
      const auto slot = empty != held_.end() ? static_cast<size_t>(empty - held_.begin()) : give_way();
      if (empty == held_.end()) gone.push_back(held_[slot].row);
      held_[slot] = {row, batch_, 1};
    }
    return gone;
  }

 private:
  struct Held {
    int64_t row = -1, batch = 0, uses = 0;
  };
  using Key = std::tuple<int64_t, int64_t, size_t>;  // uses, batch, slot
  size_t give_way() {
    for (;; ++at_) {
      if (at_ == next_.size()) list_next();
      const auto& [uses, batch, slot] = next_[at_];
      if (held_[slot].batch == batch) return std::get<2>(next_[at_++]);
    }
  }
  void list_next() {
    next_.clear();
    at_ = 0;
    for (size_t slot = 1; slot < held_.size(); ++slot)
      if (held_[slot].batch != batch_)
        next_.emplace_back(policy_ == CachePolicy::Lfu ? held_[slot].uses : 0, held_[slot].batch, slot);
    std::ranges::sort(next_);
    size_t n = (next_.size() - 1) / 32 + 1;  // and those that are as good as the last
    const auto rank = [&](size_t i) { return std::pair(std::get<0>(next_[i]), std::get<1>(next_[i])); };
    while (n < next_.size() && rank(n) == rank(n - 1)) ++n;
    next_.resize(n);
  }

  std::vector<Held> held_;
  CachePolicy policy_;
  int64_t batch_ = 0;
  std::vector<Key> next_;
  size_t at_ = 0;
};

TEST(CacheSlots, LongRunsAgreeWithASort) {
  for (const int threads : {1, 3})
    for (const CachePolicy policy : {CachePolicy::Lru, CachePolicy::Lfu})
      for (const int64_t slots : {1, 20, 700}) {
        set_num_threads(threads);
        CacheSlots cache(3 * slots, slots, policy);
        SortedSlots simple(slots, policy);
        Rng rng(4, static_cast<uint64_t>(policy));
        int64_t gone = 0;
        for (int64_t batch = 1; batch <= 1000; ++batch) {
          std::set<int64_t> rows;
          for (uint64_t n = 1 + rng.below(static_cast<uint64_t>(batch % 50 == 0 ? slots : (slots + 9) / 10)); n > 0;
               --n)
            rows.insert(static_cast<int64_t>(rng.uniform() * rng.uniform() * static_cast<double>(3 * slots)));
          const Rows expected = simple.evicted(rows);
          ASSERT_EQ(evicted(cache, Rows(rows.begin(), rows.end())), expected) << "batch " << batch;
          gone += std::ssize(expected);
        }
        EXPECT_GT(gone, 300);
      }
  set_num_threads(1);
}

// Lists of many blocks of slots, and a limit by a part of them.
TEST(CacheSlots, TheLeastRecentlyUsedOfManyGiveWayInOrder) {
  constexpr int64_t kSlots = 100'000, kBatch = 5'000;
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    CacheSlots cache(4 * kSlots, kSlots, CachePolicy::Lru);
    Rows rows(kBatch);
    for (int64_t batch = 0; batch < 60; ++batch) {
      std::iota(rows.begin(), rows.end(), batch * kBatch);
      Rows wanted(batch < kSlots / kBatch ? 0 : kBatch);
      std::iota(wanted.begin(), wanted.end(), (batch - kSlots / kBatch) * kBatch);
      ASSERT_EQ(evicted(cache, rows), wanted) << "batch " << batch;
    }
  }
  set_num_threads(1);
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
  if (cached.predict_every == 0 && !cached.ahead) {
    EXPECT_GT(found.fewest_out, 0) << "a step that evicts nothing tests little";
  }
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

TEST(RowCache, CheckpointsAndTheirResumeAreThoseWithoutOne) {
  expect_same_checkpoints({.optimizer = "adam_lazy", .cache_rows = most_rows(false, 9)});
}

TEST(RowCache, BatchesFedBeforeTheLastStepEndedTrainAsWithoutOne) {
  for (const bool bags : {false, true})
    expect_same_training(
        {.optimizer = "adam_lazy", .cache_rows = most_rows(bags, 12) + 1, .bags = bags, .ahead = true, .steps = 12});
}

TEST(RowCache, ARunWhoseRowsWereTakenAwayIsRefused) {
  CachedClicks o{.cache_rows = most_rows(false, 3)};
  const auto model = click_model(o);
  ClickGraph first(o, *model, false), second(o, *model, false);
  first.graph.output("logits", first.logits);
  second.graph.output("logits", second.logits);
  Program program = compile(first.graph), other = compile(second.graph);
  const auto stream = make_stream({});
  const auto a = ClickGraph::feeds(o, 1, click_batch(false, 1)), b = ClickGraph::feeds(o, 2, click_batch(false, 2));
  program.run(a, *stream);
  const Tensor expected = program.output("logits").clone();
  EXPECT_THROW(program.run(*stream), Error) << "nothing was fed";
  program.feed(a, *stream);
  other.run(b, *stream);
  EXPECT_THROW(program.run(*stream), Error);
  program.feed(a, *stream);
  forget_cached_rows(model->parameters());
  EXPECT_THROW(program.run(*stream), Error);
  program.feed(a, *stream);
  program.run(*stream);
  const Tensor found = program.output("logits");
  EXPECT_TRUE(std::ranges::equal(found.span<float>(), expected.span<float>()));
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
