#include "train/update/update_options.h"

#include <algorithm>
#include <cmath>

namespace winnow {

OptimizerOptions update_optimizer(OptimizerOptions of_training) {
  if (of_training.embedding == "adam") {
    of_training.embedding = "adam_lazy";
    of_training.embedding_row_regularizer = std::exchange(of_training.embedding_regularizer, 0);
  }
  return of_training;
}

void check_update_options(const UpdateOptions& o) {
  WN_CHECK(o.batch_rows >= 1 && o.batch_rows <= 1 << 20, ConfigError, "batch: {} rows, expected 1 to 2^20",
           o.batch_rows);
  WN_CHECK(o.replay >= 0 && o.replay <= 0.95, ConfigError, "replay: a share of {}, expected 0 to 0.95", o.replay);
  WN_CHECK(o.reservoir_rows >= 0, ConfigError, "reservoir: {} rows", o.reservoir_rows);
  WN_CHECK(o.distill >= 0 && std::isfinite(o.distill), ConfigError, "distill: a weight of {}", o.distill);
  WN_CHECK(o.ewc >= 0 && std::isfinite(o.ewc), ConfigError, "ewc: a weight of {}", o.ewc);
  WN_CHECK(o.ewc == 0 || (o.fisher_rows >= 1 && o.reservoir_rows >= 1), ConfigError,
           "ewc: its Fisher information is estimated on rows of the reservoir; give both at least one");
  WN_CHECK(o.consolidate_batches >= 0 && o.ewc_decay >= 0 && o.ewc_decay <= 1, ConfigError,
           "ewc: anew every {} batches with a decay of {}; expected at least 0, and 0 to 1", o.consolidate_batches,
           o.ewc_decay);
  WN_CHECK(o.learning_rate > 0 && std::isfinite(o.learning_rate), ConfigError, "learning rate: {}", o.learning_rate);
  WN_CHECK(o.negatives >= 0 && o.negatives <= 1000, ConfigError, "negatives: {} beside each positive", o.negatives);
}

int64_t replayed_rows(const UpdateOptions& options, int64_t n) {
  if (options.replay == 0 || n == 0) return 0;
  const double rows = static_cast<double>(n) * options.replay / (1 - options.replay);
  return std::max<int64_t>(1, std::llround(rows));
}

}  // namespace winnow
