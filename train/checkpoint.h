// Checkpoints: one safetensors file holds everything a run needs to go on exactly where it stopped. A file appears in
// full or not at all, carries checksums of its header and of every tensor, and the newest one that verifies is loaded.
//   <run>/checkpoints/step-000001200.safetensors: model/<parameter>, optimizer/<state>, best/<parameter>;
//   the trainer's state is JSON in the metadata under "trainer_state".
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "nn/saved_parameters.h"

namespace winnow {

struct Checkpoint {
  std::vector<NamedTensor> tensors;
  std::string trainer_state;  // JSON
  int64_t step = 0;
};

class CheckpointDirectory {
 public:
  explicit CheckpointDirectory(std::string run_directory, int keep = 2);
  void save(const Checkpoint& checkpoint);  // then removes all but the newest `keep`
  // The newest checkpoint whose checksums hold; each one passed over is reported with the reason. IoError when there
  // are checkpoints and none is whole.
  std::optional<Checkpoint> load(const std::function<void(const std::string&)>& report) const;
  std::vector<std::string> files() const;  // oldest first

 private:
  std::string directory_;
  int keep_;
};

// ConfigError when the directory holds checkpoints and the training is not to go on from them.
void check_run_directory(const std::string& directory, bool resume);

}  // namespace winnow
