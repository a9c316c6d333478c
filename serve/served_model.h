// One version of a click model as it is served: never changed, so that a request keeps the one that it began with while
// another takes its place.
#pragma once
#include <memory>
#include <string>

#include "data/catalogue.h"
#include "models/saved_click_model.h"
#include "serve/click_predictor.h"

namespace winnow {

struct ServedModel {
  // A run directory, warm. catalogue: null where the run has none (a run of an earlier program): such a model scores
  // features, not users and items by name. IoError, ConfigError, DataError.
  ServedModel(const std::string& directory, std::string name, int64_t version,
              const ClickPredictorOptions& options = {});
  // Further parameters of the same run.
  ServedModel(std::unique_ptr<SavedClickModel> saved, std::shared_ptr<const Catalogue> catalogue, std::string name,
              int64_t version, const ClickPredictorOptions& options = {});

  std::string name;
  int64_t version = 0;
  std::unique_ptr<SavedClickModel> saved;
  std::shared_ptr<const Catalogue> catalogue;
  mutable ClickPredictor predictor;  // of the thread that computes
};

}  // namespace winnow
