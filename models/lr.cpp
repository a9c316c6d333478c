// Logistic regression: one weight per id.
#include "models/models.h"
#include "models/parts.h"

namespace winnow {
namespace {

class LogisticRegression final : public CtrModel {
 public:
  LogisticRegression(const CtrSpec& spec, const CtrOptions& options) : wide_(&child<WidePart>("wide", spec, options)) {
    WN_CHECK(spec.vectors == 0, ConfigError,
             "model LR has no embeddings for texts to stand beside: take another model");
  }
  Value logits(const CtrInputs& in, const StepContext&) const override { return (*wide_)(in); }

 private:
  WidePart* wide_;
};

}  // namespace

std::unique_ptr<CtrModel> make_lr(const CtrSpec& spec, const CtrOptions& options) {
  return std::make_unique<LogisticRegression>(spec, options);
}

}  // namespace winnow
