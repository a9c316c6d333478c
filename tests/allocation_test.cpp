// No allocation in steady state: malloc and its relatives are counted while DeepFM trains and lists are made.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "core/parallel.h"
#include "core/program.h"
#include "core/rng.h"
#include "data/synthetic.h"
#include "models/ctr.h"
#include "ops/losses.h"
#include "serve/recommend/build.h"
#include "serve/score_queue.h"
#include "tests/data_files.h"
#include "tests/small_catalogue.h"
#include "tests/toy_task.h"
#include "train/metrics_log.h"
#include "train/optimizer.h"
#include "train/run.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

static std::atomic<int64_t> allocation_count{0};

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t n) {
  ++allocation_count;
  return __libc_malloc(n);
}
void* calloc(size_t n, size_t size) {
  ++allocation_count;
  return __libc_calloc(n, size);
}
void* realloc(void* p, size_t n) {
  ++allocation_count;
  return __libc_realloc(p, n);
}
void* aligned_alloc(size_t alignment, size_t n) {
  ++allocation_count;
  return __libc_memalign(alignment, n);
}
}

namespace winnow {
namespace {

TEST(Allocation, CounterSeesAnAllocation) {
  const int64_t before = allocation_count;
  delete new std::vector<int>(1000);
  EXPECT_GT(allocation_count, before);
}

void expect_no_allocation_in_steps_of_deepfm(int64_t cache_rows) {
  constexpr int64_t kBatch = 256, kFields = 6;
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    CtrSpec spec;
    for (int f = 0; f < kFields; ++f) spec.fields.push_back({fmt::format("f{}", f), 1000, Pooling::Mean});
    spec.dense = 3;
    CtrOptions options;
    options.hidden_units = {64, 32};
    options.net_dropout = 0.1;
    options.batch_norm = true;
    options.embedding_cache_rows = cache_rows;
    const auto model = make_ctr_model(spec, options);
    model->initialize(1);
    Graph g;
    const Value step = g.input("step", {DType::I64, {}}), rate = g.input("rate", {DType::F32, {}});
    const CtrInputs in{g.input("ids", {DType::I64, {2 * kBatch * kFields}}),
                       g.input("offsets", {DType::I64, {kBatch * kFields + 1}}),
                       g.input("dense", {DType::F32, {kBatch, 3}})};
    const Value label = g.input("label", {DType::F32, {kBatch}}), weight = g.input("weight", {DType::F32, {kBatch}});
    const Value loss = bce_with_logits(model->logits(in, {step, weight, true}), label, weight);
    g.output("loss", loss);
    g.backward(loss);
    OptimizerOptions optimizer_options;
    optimizer_options.clip_norm = 10;
    if (cache_rows > 0) optimizer_options.embedding = "adam_lazy";
    Optimizer optimizer(optimizer_options);
    optimizer.emit(g, model->parameters(), rate, step, 1e-3);
    Program program = compile(g);

    Rng rng(5);
    Tensor step_tensor = Tensor::of<int64_t>({1}, {});
    std::vector<Tensor> feeds = {step_tensor, Tensor::of<float>({1e-3f}, {})};
    for (const Value v : {in.ids, in.offsets, in.dense, label, weight}) feeds.push_back(Tensor::zeros(v.spec()));
    const auto draw = [&] {
      for (int64_t& id : feeds[2].span<int64_t>()) id = static_cast<int64_t>(rng.below(1000));
    };
    draw();
    for (size_t b = 0; b < feeds[3].span<int64_t>().size(); ++b)
      feeds[3].span<int64_t>()[b] = static_cast<int64_t>(2 * b);
    for (float& x : feeds[4].span<float>()) x = static_cast<float>(rng.normal());
    for (float& y : feeds[5].span<float>()) y = rng.uniform() < 0.3 ? 1.f : 0.f;
    for (float& w : feeds[6].span<float>()) w = 1;
    const auto stream = make_stream({});
    for (int i = 0; i < 5; ++i) program.run(feeds, *stream);
    const int64_t before = allocation_count;
    for (int i = 0; i < 100; ++i) {
      ++*step_tensor.data<int64_t>();
      if (cache_rows > 0) draw();
      program.run(feeds, *stream);
    }
    EXPECT_EQ(allocation_count - before, 0) << threads << " threads";
    if (cache_rows == 0) {
      EXPECT_LT(program.output("loss").item<float>(), 0.69f);  // it did train
    } else {
      EXPECT_GT(cache_counts(model->parameters())->bytes_out, 0);
    }
  }
}

TEST(Allocation, NoneInHundredStepsOfDeepFM) { expect_no_allocation_in_steps_of_deepfm(0); }
TEST(Allocation, NoneWhileRowsOfEmbeddingTablesComeAndGo) { expect_no_allocation_in_steps_of_deepfm(2700); }

// Between the points of the log, which are lines of text.
TEST(Allocation, NoneInTheTrainersStepsOfSeveralFormsAndSeveralBatches) {
  const std::atomic<bool> never{false};
  for (const int64_t each : {1, 3}) {
    ToyTask task({.batches = 6000});
    int64_t batches = 0, allocating = 0, before = 0;
    task.on_batch = [&] {
      if (batches++ > 200) allocating += allocation_count > before ? 1 : 0;
      before = allocation_count;
    };
    TrainOptions options;
    options.monitor = "";
    options.accumulate_steps = each;
    options.max_steps = 1500;
    TemporaryDirectory run;
    SilentListener silent;
    Trainer(task, options, run.path(), silent, never).run(false);
    EXPECT_EQ(batches, 1500 * each);
    const int64_t points = 1500 / (6000 / each / kPointsPerEpoch);
    EXPECT_LE(allocating, points) << each << " batches an update";
  }
}

// Without request filters, rules and indexes of vectors, which allocate.
TEST(Allocation, NoneInListsOfTheRecommenderOnceWarm) {
  const SmallCatalogue shop;
  const ItemKnowledge items{std::make_shared<ItemValues>(*shop.catalogue, shop.dataset.map), nullptr, nullptr};
  RecommendOptions options = default_recommend_options();
  options.diversity.method = DiversityOptions::Mmr;
  const auto rank = [](const EncodedSide&, std::span<const int64_t> asked, std::span<float> logits) {
    for (size_t n = 0; n < asked.size(); ++n) logits[n] = -static_cast<float>(asked[n]);
  };
  const auto recommender = make_recommender(options, *shop.catalogue, shop.dataset.map, items, rank);
  RecommendScratch scratch;
  std::vector<RecommendedItem> out;
  size_t named = 0;
  int64_t before = 0;
  for (int round = 0; round < 2; ++round) {
    before = allocation_count;
    for (int64_t user = -1; user < shop.catalogue->users(); ++user) {
      recommender->recommend({.user = user, .k = 10}, scratch, out);
      named += out.size();
    }
  }
  EXPECT_EQ(allocation_count - before, 0);
  EXPECT_GT(named, 500u);
}

// From a user and items by number to logits, through the queue and its thread.
TEST(Allocation, NoneInTheScoringPathOnceWarm) {
  const TemporaryDirectory directory;
  const std::string store = directory.path() + "/store", run = directory.path() + "/run";
  write_synthetic_store(store, {.users = 60, .items = 40, .impressions = 3000, .pictures = 0});
  const CtrConfig config(CommonOptions{"examples/ctr/synthetic.yaml",
                                       {"data.path='" + store + "'", "model.name=DeepFM", "model.hidden_units=[32]"}});
  const Dataset dataset = load_dataset(config.schema);
  const auto model = make_ctr_model(ctr_spec(dataset.map), config.model);
  model->initialize(3);
  save_run(run, config, dataset, *model);
  const auto served = std::make_shared<const ServedModel>(run, "store", 1, ClickPredictorOptions{}, 2);
  const int64_t users = served->catalogue->users(), items = served->catalogue->items();
  std::atomic<int64_t> answered = 0;
  std::atomic<bool> held = true;
  int64_t asked = 0;
  ScoreQueue queue({.threads = 2, .scorers = 1, .max_wait = std::chrono::seconds(60)});
  const auto fill = [&](ScoreJob& job, int64_t user, int64_t rows) {
    job.model = served;
    job.resize(static_cast<size_t>(rows));
    for (int64_t i = 0; i < rows; ++i) served->catalogue->row(user, i, job.rows()[static_cast<size_t>(i)]);
    job.done = [&answered](ScoreJob& done, ScoreOutcome outcome) {
      answered += outcome == ScoreOutcome::Scored && std::isfinite(done.logits()[0]) ? 1 : 0;
    };
  };
  const auto ask = [&](int64_t times) {
    for (int64_t n = 0; n < times; ++n) {
      std::unique_ptr<ScoreJob> job = queue.job();
      fill(*job, n % users, 1 + n % items);
      ASSERT_TRUE(queue.submit(job));
      if (++asked % 4 == 0)  // some share a batch
        while (answered < asked) std::this_thread::yield();
    }
  };
  // More jobs than are under way at any time below, which is four and one that is being given back, with rows of every
  // user, and behind the first, which holds the thread, a batch of more of them and of as many rows as one may have.
  std::vector<std::unique_ptr<ScoreJob>> jobs(16);
  for (auto& job : jobs) job = queue.job();
  for (auto& job : jobs)
    for (int64_t user = 0; user < users; ++user) fill(*job, user, items);
  for (size_t j = 4; j < jobs.size(); ++j) fill(*jobs[j], 0, 1);
  jobs[0]->done = [&, count = jobs[0]->done](ScoreJob& done, ScoreOutcome outcome) {
    while (held) std::this_thread::yield();
    count(done, outcome);
  };
  for (auto& job : jobs) asked += queue.submit(job) ? 1 : 0;
  held = false;
  EXPECT_EQ(asked, 16);
  ask(2000);
  const int64_t before = allocation_count;
  ask(400);
  EXPECT_EQ(allocation_count - before, 0);
}

}  // namespace
}  // namespace winnow

#endif
