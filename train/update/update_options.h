// How a click model goes on learning from events.
#pragma once
#include "core/program.h"
#include "data/feature_map.h"
#include "train/optimizer.h"
#include "train/update/events.h"

namespace winnow {

struct UpdateOptions {
  int64_t batch_rows = 64;          // new rows of a mini-batch
  double replay = 0.5;              // share of a mini-batch that comes from the reservoir, [0, 0.95]
  int64_t reservoir_rows = 20000;   // past rows kept for that
  double distill = 0;               // weight of the distance to the logits of the model before the updates
  double ewc = 0;                   // weight of elastic weight consolidation; 0: none
  int64_t fisher_rows = 1000;       // rows of the reservoir that the Fisher information is estimated on
  int64_t consolidate_batches = 0;  // batches after which it is estimated anew (online form); 0: never
  double ewc_decay = 0.95;          // of what it was before
  double learning_rate = 1e-4;
  int64_t negatives = 0;  // drawn beside each row of label 1
  OptimizerOptions optimizer;
  uint64_t seed = 42;
  CompileOptions compile;
};

// The optimizer of a training as updates use it: tables move by the rows that a batch touches, so that a delta holds
// few of them: embedding adam becomes adam_lazy, its embedding_regularizer that of the rows touched.
OptimizerOptions update_optimizer(OptimizerOptions of_training);
void check_update_options(const UpdateOptions& options);  // ConfigError
// Replayed rows beside n new ones: n replay / (1 - replay), rounded, at least 1 unless replay is 0.
int64_t replayed_rows(const UpdateOptions& options, int64_t n);

// The encoded row of a user and an item.
using JoinRow = std::function<void(int64_t user, int64_t item, EncodedRow& row)>;

}  // namespace winnow
