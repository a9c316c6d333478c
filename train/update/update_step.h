// One mini-batch of an update: new rows, and old ones beside them.
//   loss = mean over all rows of BCE(z, label) + distill / 2 * mean over the old rows of (z - z_before)^2
// z_before: the logits of the model before the updates (Ba and Caruana 2014, "Do deep nets really need to be deep?";
// for rows that are replayed as Buzzega et al. 2020, "Dark experience for general continual learning"). Without replay
// the second mean is over the new rows (Li and Hoiem 2016, "Learning without forgetting").
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "core/program.h"
#include "train/update/ewc.h"

namespace winnow {

class UpdateStep {
 public:
  // All of them must outlive the step. before: a copy of the model as it was, needed with distill; its variables are
  // made untrainable. ewc: null without.
  UpdateStep(CtrModel& model, CtrModel* before, const FeatureMap& map, JoinRow join, const UpdateOptions& options,
             const Ewc* ewc);
  // The loss. `number`: of the batch, from 1, which dropout and the optimizer's bias correction go by. Error: a loss or
  // gradient that is not finite; nothing has changed then.
  double run(int64_t number, std::span<const UpdateRow> fresh, std::span<const UpdateRow> replayed);
  const std::vector<VariablePtr>& optimizer_state() const { return optimizer_.state(); }

 private:
  double learning_rate_;
  bool distill_;
  UpdateBatch batch_;
  Graph graph_;
  Optimizer optimizer_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Program> program_;
  Tensor number_, held_;  // held_ f32 [rows]: weights of the distance to the model before
  std::vector<Tensor> feeds_;
};

}  // namespace winnow
