#include "train/options.h"

#include <algorithm>

namespace winnow {
namespace {

void read_table_optimizer(const ConfigNode& n, OptimizerOptions& o) {
  o.embedding =
      n.choice("embedding_optimizer", "adam", {"sgd", "adagrad", "rowwise_adagrad", "adam", "adam_lazy", "ftrl"});
  o.embedding_learning_rate = n.get("embedding_learning_rate", 0.0, at_least(0));
  o.embedding_regularizer = n.get("embedding_regularizer", 0.0, at_least(0));
  o.embedding_row_regularizer = n.get("embedding_row_regularizer", 0.0, at_least(0));
  o.embedding_l1 = n.get("embedding_l1", 0.0, at_least(0));
}

OptimizerOptions read_optimizer(const ConfigNode& n, const OptimizerOptions& defaults, bool tables) {
  OptimizerOptions o;
  o.name = n.choice("optimizer", defaults.name, {"sgd", "adam", "adamw", "rmsprop", "adagrad", "lamb", "ftrl"});
  if (tables) read_table_optimizer(n, o);
  o.momentum = n.get("momentum", 0.0, fraction());
  o.nesterov = n.get("nesterov", false);
  o.beta1 = n.get("beta1", o.beta1, fraction());
  o.beta2 = n.get("beta2", o.beta2, fraction());
  o.eps = n.get("eps", 0.0, at_least(0));
  o.weight_decay = n.get("weight_decay", defaults.weight_decay, at_least(0));
  o.net_regularizer = n.get("net_regularizer", 0.0, at_least(0));
  o.net_l1 = n.get("net_l1", 0.0, at_least(0));
  o.initial_accumulator = n.get("initial_accumulator", 0.0, at_least(0));
  o.clip_norm = n.get("clip_norm", defaults.clip_norm, at_least(0));
  o.clip_value = n.get("clip_value", 0.0, at_least(0));
  return o;
}

}  // namespace

LoopOptions fine_tuning_defaults(int64_t batch_size, int64_t epochs, double learning_rate) {
  LoopOptions loop;
  loop.batch_size = batch_size;
  TrainOptions& o = loop.train;
  o.epochs = epochs;
  o.schedule = {.name = "linear", .learning_rate = learning_rate, .warmup_fraction = 0.1};
  o.optimizer.name = "adamw";
  o.optimizer.weight_decay = 0.01;
  o.optimizer.clip_norm = 1;
  o.plateau_factor = 1;
  return loop;
}

LoopOptions read_train_options(const ConfigNode& n, const Monitors& monitors, const LoopOptions& defaults,
                               bool tables) {
  LoopOptions loop = defaults;
  TrainOptions& o = loop.train;
  loop.batch_size = n.get("batch_size", loop.batch_size, between(1, 1 << 24));
  o.epochs = n.get("epochs", o.epochs, between(1, 1e6));
  o.max_steps = n.get("max_steps", o.max_steps, at_least(0));
  o.accumulate_steps = n.get("accumulate_steps", o.accumulate_steps, between(1, 1 << 20));
  o.schedule.learning_rate = n.get("learning_rate", o.schedule.learning_rate, more_than(0));
  o.schedule.name = n.choice("schedule", o.schedule.name, {"constant", "linear", "cosine", "inverse_sqrt"});
  o.schedule.warmup_fraction = n.get("warmup_fraction", o.schedule.warmup_fraction, fraction());
  if (o.schedule.warmup_fraction == 0)
    o.schedule.warmup_steps = n.get("warmup_steps", o.schedule.warmup_steps, at_least(0));
  o.optimizer = read_optimizer(n, defaults.train.optimizer, tables);
  std::vector<std::string> names = {"none"};
  names.insert(names.end(), monitors.higher.begin(), monitors.higher.end());
  names.insert(names.end(), monitors.lower.begin(), monitors.lower.end());
  o.monitor = n.choice("monitor", monitors.fallback, names);
  o.monitor_higher = std::ranges::find(monitors.lower, o.monitor) == monitors.lower.end();
  if (o.monitor == "none") o.monitor.clear();
  o.patience = n.get("patience", o.patience, at_least(1));
  o.plateau_factor = n.get("plateau_factor", o.plateau_factor, between(0, 1));
  o.min_learning_rate = n.get("min_learning_rate", o.min_learning_rate, at_least(0));
  o.checkpoint_steps = n.get("checkpoint_steps", o.checkpoint_steps, at_least(0));
  o.skip_nonfinite = n.get("skip_nonfinite", o.skip_nonfinite);
  const std::string precision = n.choice("precision", "f32", {std::begin(kPrecisionNames), std::end(kPrecisionNames)});
  o.precision = static_cast<Precision>(std::ranges::find(kPrecisionNames, precision) - kPrecisionNames);
  o.compile.check_finite = n.get("check_finite", false);
  o.compile.matmul = n.choice("matmul_kernel", "auto", {"auto", "packed", "onednn", "reference"});
  if (o.compile.matmul == "auto") o.compile.matmul.clear();
  o.seed = n.get("seed", o.seed);
  return loop;
}

}  // namespace winnow
