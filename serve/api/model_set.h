// The models that a server answers with: by name, each at one version, exchanged while requests run.
//
//   ModelSet models({{"store", "runs/store"}, {"new", "runs/new"}}, options);
//   auto model = models.of("store");              // kept as long as the request needs it
//   auto mine = models.for_user("196");           // of the split
//
// A version comes in two ways, both looked for in the background: the run directory holds another model.safetensors (a
// new training, or a link moved to another run), or `winnow update` publishes a delta (serve/delta). Either is loaded
// aside and warmed before it takes its place; a version that cannot be loaded leaves the one before, and problems()
// says why. <run>/deltas/pin, a file with a number, holds a run at that version until it goes away: rollback.
#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "serve/delta/versions.h"
#include "serve/served_model.h"

namespace winnow {

struct NamedRun {
  std::string name, directory;
  double share = 0;  // of the users
};

struct ModelSetOptions {
  ClickPredictorOptions predictor;
  size_t scorers = 1;                    // ScoreQueue::scorers()
  std::chrono::milliseconds every{200};  // between looks; 0: never
  bool deltas = true;                    // follow them; false: the run itself
  uint64_t split_seed = 1;
  std::function<void(const ServedModel&)> prepare = {};  // called with a new artefact before it takes its place
};

struct ModelFacts {
  std::string name, model;  // "DeepFM"
  int64_t version = 0, events = 0, features = 0, parameters = 0, loads = 0;
  double share = 0, loaded_seconds_ago = 0;
  std::string problem;  // of the last version that could not be loaded; "" none
};

class ModelSet {
 public:
  // Shares that sum to 1, or all 0: then the first answers everybody. ConfigError: no run, a name twice or that is no
  // plain name, shares below 0; IoError, DataError as ServedModel.
  ModelSet(const std::vector<NamedRun>& runs, const ModelSetOptions& options);
  ~ModelSet();

  std::vector<std::string> names() const;
  std::shared_ptr<const ServedModel> of(std::string_view name) const;  // DataError lists the names; "": the first
  // The variant of a user: by a hash of the id, so that it stays the same in every process and after every start.
  std::shared_ptr<const ServedModel> for_user(std::string_view user) const;
  std::vector<ModelFacts> facts() const;
  void look();  // what the background does from time to time

 private:
  struct Slot;
  void watch(const std::stop_token& stop);
  const ModelSetOptions options_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::mutex looking_;
  std::jthread watcher_;
};

}  // namespace winnow
