// Gradients that outlive a step: the mean over several batches before one update (train.accumulate_steps).
#pragma once
#include <vector>

#include "nn/module.h"

namespace winnow {

class GradientBuffers {
 public:
  // After backward(): records buffer = keep * buffer + share * gradient for every trained parameter (accumulate() of
  // ops/optimizers.h); keep, share f32 []. Several graphs over the same parameters share the buffers, which are as
  // large as these together. ConfigError: a parameter that is read as table rows, whose gradient has no fixed size.
  void record(Graph& graph, const std::vector<Parameter>& parameters, Value keep, Value share);
  // The parameter's buffer as a value of another graph; empty when it has no gradient.
  Value gradient(Graph& graph, const Parameter& parameter) const;

 private:
  VariablePtr find(const Parameter& parameter) const;
  std::vector<VariablePtr> buffers_;
};

}  // namespace winnow
