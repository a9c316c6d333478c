// Trainings of a click model by the trainer, with all rows of its tables on the device or behind a cache.
#pragma once
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "core/file.h"
#include "data/batches.h"
#include "tests/cached_clicks.h"
#include "tests/data_files.h"
#include "train/checkpoint.h"
#include "train/ctr_training.h"
#include "train/trainer.h"

namespace winnow {

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

inline TrainedClicks train_epochs(const CachedClicks& o, const std::vector<int64_t>& epochs) {
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
    for (const Parameter& p : model->parameters()) {
      const Tensor host = p.value().on({});
      out.parameters[p.name()] = {host.span<float>().begin(), host.span<float>().end()};
    }
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

// Those of an epoch's end and of its midst, of a training in one go and of one that was resumed.
inline void expect_same_checkpoints(const CachedClicks& cached) {
  CachedClicks whole = cached;
  whole.cache_rows = 0;
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

}  // namespace winnow
