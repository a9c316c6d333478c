#include "serve/served_model.h"

#include "core/file.h"

namespace winnow {

namespace {

std::shared_ptr<const Catalogue> catalogue_of(const std::string& directory, const FeatureMap& map) {
  const std::string path = directory + "/catalogue.safetensors";
  return file_exists(path) ? std::make_shared<const Catalogue>(path, map) : nullptr;
}

}  // namespace

ServedModel::ServedModel(std::unique_ptr<SavedClickModel> model, std::shared_ptr<const Catalogue> known,
                         std::string its_name, int64_t its_version, const ClickPredictorOptions& options,
                         size_t scorers)
    : name(std::move(its_name)), version(its_version), saved(std::move(model)), catalogue(std::move(known)) {
  ClickPredictorOptions shared = options;
  for (size_t s = 0; s < scorers; ++s) {
    predictors_.push_back(std::make_unique<ClickPredictor>(*saved, shared));
    shared.frozen = predictors_[0]->frozen();
  }
}

ServedModel::ServedModel(const std::string& directory, std::string its_name, int64_t its_version,
                         const ClickPredictorOptions& options, size_t scorers)
    : ServedModel(std::make_unique<SavedClickModel>(directory), nullptr, std::move(its_name), its_version, options,
                  scorers) {
  load_catalogue(directory);
}

void ServedModel::load_catalogue(const std::string& directory) { catalogue = catalogue_of(directory, saved->map); }

}  // namespace winnow
