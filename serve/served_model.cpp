#include "serve/served_model.h"

#include "core/file.h"

namespace winnow {

ServedModel::ServedModel(std::unique_ptr<SavedClickModel> model, std::shared_ptr<const Catalogue> known,
                         std::string its_name, int64_t its_version, const ClickPredictorOptions& options)
    : name(std::move(its_name)),
      version(its_version),
      saved(std::move(model)),
      catalogue(std::move(known)),
      predictor(*saved, options) {}

namespace {

std::shared_ptr<const Catalogue> catalogue_of(const std::string& directory, const FeatureMap& map) {
  const std::string path = directory + "/catalogue.safetensors";
  return file_exists(path) ? std::make_shared<const Catalogue>(path, map) : nullptr;
}

}  // namespace

ServedModel::ServedModel(const std::string& directory, std::string its_name, int64_t its_version,
                         const ClickPredictorOptions& options)
    : name(std::move(its_name)),
      version(its_version),
      saved(std::make_unique<SavedClickModel>(directory)),
      catalogue(catalogue_of(directory, saved->map)),
      predictor(*saved, options) {}

}  // namespace winnow
