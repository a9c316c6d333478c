// Between encoded rows and click models: what a model must know of a feature map, and a batch's tensors as its inputs.
#pragma once
#include "data/batches.h"
#include "models/ctr.h"

namespace winnow {

CtrSpec ctr_spec(const FeatureMap& map);

// The inputs of a batch, declared in feed order.
struct BatchValues {
  BatchValues(Graph& graph, const BatchSpec& spec);
  CtrInputs ctr;
  Value label, weight;
};

}  // namespace winnow
