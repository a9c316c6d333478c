// A run directory opened to go on learning: <run>/config.yaml, feature_map.json, model.safetensors,
// catalogue.safetensors, and what it keeps of its updates in <run>/updates/state.safetensors.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/catalogue.h"
#include "models/saved_click_model.h"
#include "train/update/updater.h"

namespace winnow {

// What a command line says; the rest is the run's.
struct UpdateSettings {
  std::vector<std::string> labels;      // label rules; empty: default_label_rules()
  UpdateOptions options;                // optimizer is the run's (update_optimizer())
  std::optional<double> learning_rate;  // none: the run's
  std::optional<int64_t> negatives;     // none: those of the run's data
  std::optional<uint64_t> seed;         // none: the run's
};

class UpdateRun {
 public:
  // Takes the run for this process: IoError when another one updates it. ConfigError, DataError.
  UpdateRun(const std::string& directory, const UpdateSettings& settings);
  ~UpdateRun();
  UpdateRun(const UpdateRun&) = delete;
  UpdateRun& operator=(const UpdateRun&) = delete;
  Updater& updater() { return *updater_; }
  const std::string& base() const { return base_; }  // run_fingerprint()
  const std::vector<LabelRule>& rules() const { return rules_; }
  const UpdateOptions& options() const { return options_; }

  // Goes on from the state, or fills the reservoir from the catalogue where there is none; true: went on.
  bool start(std::string* position);
  void save(const std::string& position) const { updater_->save(state_path(), base_, position); }
  std::string state_path() const { return directory_ + "/updates/state.safetensors"; }
  // Removes the state, so that start() begins anew. Before start().
  void forget() const;

 private:
  std::string directory_, base_;
  SavedClickModel saved_;
  std::unique_ptr<SavedClickModel> before_;
  Catalogue catalogue_;
  std::vector<LabelRule> rules_;
  UpdateOptions options_;
  std::unique_ptr<Updater> updater_;
  int lock_ = -1;
};

}  // namespace winnow
