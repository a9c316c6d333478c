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
  // scorers: threads that compute with it at the same time.
  ServedModel(const std::string& directory, std::string name, int64_t version,
              const ClickPredictorOptions& options = {}, size_t scorers = 1);
  // Further parameters of the same run.
  ServedModel(std::unique_ptr<SavedClickModel> saved, std::shared_ptr<const Catalogue> catalogue, std::string name,
              int64_t version, const ClickPredictorOptions& options = {}, size_t scorers = 1);
  ClickPredictor& predictor(size_t scorer = 0) const { return *predictors_.at(scorer); }
  void load_catalogue(const std::string& directory);   // IoError, DataError
  void refresh() const { predictors_[0]->refresh(); }  // after its parameters were given other values

  std::string name;
  int64_t version = 0;
  std::unique_ptr<SavedClickModel> saved;
  std::shared_ptr<const Catalogue> catalogue;

 private:
  std::vector<std::unique_ptr<ClickPredictor>> predictors_;
};

}  // namespace winnow
