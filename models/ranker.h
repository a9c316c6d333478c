// Models that score the documents of a query: on features here, on texts in models/cross_encoder.h.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/transformer.h"

namespace winnow {

// Inputs of a batch of R rows: those that the model reads.
struct RankInputs {
  Value features;      // f32 [R, F]
  TokenInputs tokens;  // R sequences: query and item of a row
};

class RankModel : public Module {
 public:
  // thresholds K > 0: of the grades 0 .. K, for an ordinal loss.
  explicit RankModel(int64_t thresholds);
  // Of each member of an ensemble, [R] each; one where the model is no ensemble.
  virtual std::vector<Value> member_scores(const RankInputs& in, const StepContext& context) const = 0;
  Value scores(const RankInputs& in, const StepContext& context) const;  // their mean
  // [R, K]: logit k is that of P(grade > k) = sigmoid(score - threshold_k), the proportional odds of McCullagh 1980
  // ("Regression Models for Ordinal Data").
  Value ordinal_logits(Value scores) const;

 private:
  Parameter* thresholds_ = nullptr;
};

struct FeatureRankerOptions {
  std::string name = "mlp";  // or linear: a weighted sum of the features
  MlpOptions mlp;            // of mlp
  int64_t members = 1;       // networks with initial values of their own, trained on the same batches
};
std::unique_ptr<RankModel> make_feature_ranker(int64_t features, const FeatureRankerOptions& options,
                                               int64_t thresholds);

}  // namespace winnow
