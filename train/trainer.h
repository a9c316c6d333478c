// The one trainer of every job: steps, epochs, schedules, early stopping, checkpoints with exact resume, NaN guard.
// A job tells it what to record and how to validate through TrainTask.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/program.h"
#include "nn/layers.h"
#include "nn/row_cache.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace winnow {

struct TrainOptions {
  int64_t epochs = 10;
  int64_t max_steps = 0;  // 0: as many as the epochs have
  // Batches of one update, whose gradient is the mean over all of them, each batch in proportion to
  // TrainTask::loss_weight(). A step is an update: schedules, max_steps, checkpoints and logs count these. An epoch's
  // last update takes the batches that are left.
  int64_t accumulate_steps = 1;
  ScheduleOptions schedule;
  OptimizerOptions optimizer;
  std::string monitor = "auc";  // the validation metric that decides; "" turns early stopping off
  bool monitor_higher = true;
  int64_t patience = 2;         // epochs in a row without improvement before stopping
  double plateau_factor = 0.1;  // multiplies the rate after each such epoch; 1: off
  double min_learning_rate = 1e-6;
  int64_t checkpoint_steps = 0;  // steps between checkpoints besides the one at each epoch's end; 0: none
  bool skip_nonfinite = false;   // true: a step with a non-finite gradient is skipped; false: training stops
  uint64_t seed = 42;
  Precision precision = Precision::F32;  // of the products of training steps; validation and what is saved are f32
  CompileOptions compile;
};

struct NamedMetric {
  std::string name;
  double value = 0;
};

// What the trainer asks of a job.
class TrainTask {
 public:
  virtual ~TrainTask() = default;
  virtual Module& model() = 0;
  virtual int64_t steps_in_epoch(int64_t epoch) const = 0;  // batches
  virtual int64_t rows_per_step() const = 0;                // of a full batch
  // The sizes that a batch may have, such as capacities in tokens. Each becomes a Program, all on one arena.
  virtual std::vector<int64_t> forms() const { return {0}; }
  // Declares the inputs of a batch of that size in `graph` and records the loss, rank 0. step: another number at each
  // batch, for dropout.
  virtual Value record_loss(Graph& graph, Value step, int64_t form) = 0;
  // The tensors of the next batch in the order of those inputs; empty at the end of the epoch.
  // Where embedding tables lie behind a cache it is called while a device works on the batch before.
  virtual std::span<const Tensor> next_batch() = 0;
  virtual size_t form() const { return 0; }  // of that batch, an index into forms()
  // What that batch's loss is divided by: where an update takes several batches, they count in proportion to it.
  virtual double loss_weight() const { return 1; }
  virtual int64_t units() const { return rows_per_step(); }  // of that batch, which rates count
  virtual std::string unit() const { return "rows"; }        // their name: rows, tokens
  virtual void start_epoch(int64_t epoch) = 0;
  // Position of the next batch, for exact resume.
  virtual std::string cursor() const = 0;
  virtual void seek(const std::string& cursor) = 0;
  // What else a checkpoint must hold; restored before the first batch.
  virtual std::vector<VariablePtr> state() { return {}; }
  virtual std::vector<NamedMetric> validate() = 0;  // with the parameters as they are now
};

// What people and programs get to see; every call comes from the training thread.
class TrainListener {
 public:
  virtual ~TrainListener() = default;
  virtual void on_start(const Program& program, int64_t parameters, int64_t steps_per_epoch) = 0;
  // Before on_step(): what a step of this epoch takes in on average so far ("tokens", 4012.5).
  virtual void on_rate(const std::string& /*unit*/, double /*units_per_step*/) {}
  virtual void on_step(int64_t epoch, int64_t step_in_epoch, int64_t steps_per_epoch, double mean_loss) = 0;
  virtual void on_epoch(int64_t epoch, double train_loss, const std::vector<NamedMetric>& validation, bool improved,
                        double seconds) = 0;
  // After on_epoch(), where rows of embedding tables lie in host memory (nn/row_cache.h): what its steps asked for.
  virtual void on_cache(const CacheCounts& /*counts*/) {}
  virtual void on_message(const std::string& text) = 0;
  // A line of metrics.jsonl (train/metrics_log.h) as it is added; at a resume first those of the earlier start.
  virtual void on_record(const std::string& /*json_line*/) {}
};

struct TrainResult {
  int64_t steps = 0, epochs = 0, best_epoch = 0;
  double best = 0;
  bool interrupted = false;  // by the stop flag; the state was saved
};

class Trainer {
 public:
  // run_directory: where checkpoints and metrics.jsonl go. stop: set by a signal handler, checked after each step.
  Trainer(TrainTask& task, TrainOptions options, std::string run_directory, TrainListener& listener,
          const std::atomic<bool>& stop);
  ~Trainer();
  // resume: go on from the newest whole checkpoint of run_directory, if there is one. A finished training goes on when
  // it is given more epochs or steps, with the bytes of one that had them from the start. At the end the best epoch's
  // parameters are in the model. Error: a non-finite loss (unless skip_nonfinite), with the step and what to try.
  // ConfigError: resumed with another number of steps under a schedule whose rates depend on it, or
  // with another accumulate_steps.
  TrainResult run(bool resume);

 private:
  struct State;
  void build();
  struct Batch {
    size_t form;
    int64_t units;
    double keep, share, weight;  // of what was summed up before, of it, of both in the loss
  };
  // Feeds the next batch of an update whose batches so far weigh `weight`. Nothing at the epoch's end.
  std::optional<Batch> feed_next(int64_t number, double weight);
  void look_ahead();
  bool update(double& loss, double& norm);
  double rate_of(int64_t step) const;
  std::string cursor() const;
  int64_t updates_in_epoch(int64_t epoch) const;
  void restore();
  void save();
  bool train_epoch();
  bool finish_epoch(double seconds);
  void guard(double loss, double norm);
  int64_t total_steps() const;
  bool is_over() const;
  void log(const std::string& line);
  void log_point();
  std::vector<Tensor> snapshot() const;

  TrainTask& task_;
  TrainOptions options_;
  std::string run_directory_;
  TrainListener& listener_;
  const std::atomic<bool>& stop_;
  std::unique_ptr<State> state_;
};

}  // namespace winnow
