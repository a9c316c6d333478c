// The `train:` section of a config.
#pragma once
#include "core/config.h"
#include "models/ctr.h"
#include "train/trainer.h"

namespace winnow {

struct LoopOptions {
  TrainOptions train;
  int64_t batch_size = 1024;
};
// What fine-tuning usually takes: AdamW with weight decay .01, clipping at 1, warm-up over a tenth of the steps, then
// linear decay; no other change of the rate.
LoopOptions fine_tuning_defaults(int64_t batch_size, int64_t epochs, double learning_rate);

// The validation metrics that `train.monitor` may name, besides none; those in `lower` are better when lower.
struct Monitors {
  std::string fallback = "auc";
  std::vector<std::string> higher = {"auc", "gauc"}, lower = {"logloss"};
};
// defaults: of batch_size, learning_rate, epochs, schedule, optimizer, plateau_factor. tables: whether the model has
// embedding tables; without them their keys are unknown ones.
LoopOptions read_train_options(const ConfigNode& train, const Monitors& monitors = {}, const LoopOptions& defaults = {},
                               bool tables = true);

}  // namespace winnow
