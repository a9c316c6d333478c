// Elastic weight consolidation (Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks"): what
// the old data determined is held where it was,
//   penalty = lambda / 2 * sum_i F_i (w_i - a_i)^2
// with the anchor a, the parameters when it was consolidated, and F the diagonal of the Fisher information of the
// model's own distribution, for one logit z and p = sigmoid(z)
//   F_i = mean over rows of p (1 - p) (dz / dw_i)^2
// Online form (Schwarz et al. 2018, "Progress & Compress", section 3.2): F = decay F + F', a = w.
//
// The penalty acts beside the optimizer, not through its moments, and implicitly, so that any lambda is stable:
//   w -= c (w - a) / (1 + c),  c = rate lambda F,   after each step: the proximal step of the penalty
// It passes over every parameter, tables included, at every step.
#pragma once
#include <span>
#include <vector>

#include "models/ctr.h"
#include "train/update/update_batch.h"

namespace winnow {

class Ewc {
 public:
  // Anchors at the parameters as they are, with F = 0. ConfigError: a parameter that is not f32.
  explicit Ewc(const std::vector<Parameter>& parameters);
  // F = decay F + the Fisher information on these rows; the anchor is where the parameters are now.
  void consolidate(const CtrModel& model, const FeatureMap& map, const JoinRow& join, std::span<const UpdateRow> rows,
                   double decay);
  // Records the step above for every parameter, behind the optimizer; where scale is not finite it changes nothing.
  void emit(Graph& graph, Value rate, Value step, Value scale, double lambda) const;
  // "fisher/<parameter>" and "anchor/<parameter>"
  std::vector<VariablePtr> state() const;

 private:
  std::vector<Parameter> parameters_;  // trained ones
  std::vector<VariablePtr> fisher_, anchor_;
};

}  // namespace winnow
