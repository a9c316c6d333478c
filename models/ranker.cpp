#include "models/ranker.h"

#include "models/parts.h"
#include "ops/binary.h"
#include "ops/pointwise.h"
#include "ops/shape_ops.h"

namespace winnow {
namespace {

class FeatureRanker final : public RankModel {
 public:
  FeatureRanker(int64_t features, const MlpOptions& options, int64_t members, int64_t thresholds)
      : RankModel(thresholds) {
    for (int64_t m = 0; m < members; ++m) nets_.push_back(&child<Mlp>(fmt::format("members.{}", m), features, options));
  }
  std::vector<Value> member_scores(const RankInputs& in, const StepContext& context) const override {
    std::vector<Value> out;
    for (const Mlp* net : nets_) out.push_back(squeeze((*net)(in.features, context)));
    return out;
  }

 private:
  std::vector<Mlp*> nets_;
};

}  // namespace

RankModel::RankModel(int64_t thresholds) {
  if (thresholds > 0) thresholds_ = &parameter("thresholds", {thresholds}, Group::Bias, Init::zeros());
}

Value RankModel::scores(const RankInputs& in, const StepContext& context) const {
  const std::vector<Value> members = member_scores(in, context);
  Value sum = members[0];
  for (size_t m = 1; m < members.size(); ++m) sum = add(sum, members[m]);
  return members.size() == 1 ? sum : affine(sum, 1 / static_cast<double>(members.size()), 0);
}

Value RankModel::ordinal_logits(Value scores) const {
  return sub(reshape(scores, {scores.shape()[0], 1}), scores.graph->persistent(thresholds_->variable));
}

std::unique_ptr<RankModel> make_feature_ranker(int64_t features, const FeatureRankerOptions& options,
                                               int64_t thresholds) {
  MlpOptions net = options.mlp;
  if (options.name == "linear") net = {};
  net.output = 1;
  return std::make_unique<FeatureRanker>(features, net, options.members, thresholds);
}

}  // namespace winnow
