// Permutation importance (Breiman 2001, "Random Forests", section 10; Fisher, Rudin, Dominici 2019, "All Models are
// Wrong, but Many are Useful"): how much AUC a trained model loses on rows in which one feature's cells are those of
// other rows.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/bootstrap.h"
#include "train/ctr_task.h"

namespace winnow {

struct ImportanceOptions {
  int64_t rows = 10000;  // at most this many, drawn without replacement by (seed)
  uint64_t seed = 1;     // of the sample and of each feature's permutation
  BootstrapOptions bootstrap = {.resamples = 200};
  int64_t batch_size = 4096;
};

// drop = AUC of the rows - AUC with the feature permuted. The interval is a paired bootstrap over the rows, for the one
// permutation that was drawn; NaN without one. A feature that another one repeats loses little though the model uses
// it.
struct FeatureImportance {
  std::string feature;
  double drop = 0, low = 0, high = 0;
};

struct Importance {
  int64_t rows = 0;                         // of the sample
  std::string reason;                       // why there is none: the sample has one class
  std::vector<FeatureImportance> features;  // largest drop first, ties in schema order
};

// The same for any number of threads.
Importance permutation_importance(const Dataset& dataset, Split split, const CtrModel& model,
                                  const CompileOptions& compile, const ImportanceOptions& options = {});

}  // namespace winnow
