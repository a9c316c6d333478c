#include "train/update/update_step.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/ctr_batches.h"
#include "ops/binary.h"
#include "ops/clip.h"
#include "ops/losses.h"
#include "ops/pointwise.h"

namespace winnow {

UpdateStep::UpdateStep(CtrModel& model, CtrModel* before, const FeatureMap& map, JoinRow join,
                       const UpdateOptions& options, const Ewc* ewc)
    : learning_rate_(options.learning_rate),
      distill_(options.distill > 0),
      batch_(map, options.batch_rows + replayed_rows(options, options.batch_rows), std::move(join)),
      graph_(default_device(), options.seed),
      optimizer_(options.optimizer),
      stream_(make_stream()),
      number_(Tensor::zeros({DType::I64, {}})) {
  WN_CHECK(!distill_ || before != nullptr, ConfigError, "distill: the model before the updates is not there");
  const Value step = graph_.input("step", {DType::I64, {}}), rate = graph_.input("learning_rate", {DType::F32, {}});
  const BatchValues batch(graph_, batch_.spec());
  const Value logits = model.logits(batch.ctr, {step, batch.weight, true});
  Value loss = bce_with_logits(logits, batch.label, batch.weight);
  feeds_ = {number_, Tensor::of<float>({static_cast<float>(learning_rate_)}, {})};
  feeds_.insert(feeds_.end(), batch_.feeds().begin(), batch_.feeds().end());
  if (distill_) {
    for (const Parameter& p : before->parameters()) p.variable->trainable = false;
    held_ = Tensor::zeros({DType::F32, logits.shape()});
    const Value held = graph_.input("held", held_.spec());
    feeds_.push_back(held_);
    const Value target = before->logits(batch.ctr, {step, batch.weight, false});
    loss = add(loss, scale(mse(logits, target, held), options.distill / 2));
  }
  graph_.output("loss", loss);
  graph_.backward(loss);
  const std::vector<Parameter> parameters = model.parameters();
  optimizer_.emit(graph_, parameters, rate, step, learning_rate_);
  if (ewc != nullptr) {
    const Value norm{&graph_, graph_.outputs().at("gradient_norm")};
    ewc->emit(graph_, rate, step, clip_scale(norm, std::numeric_limits<double>::infinity()), options.ewc);
  }
  program_ = std::make_unique<Program>(compile(graph_, options.compile));
}

double UpdateStep::run(int64_t number, std::span<const UpdateRow> fresh, std::span<const UpdateRow> replayed) {
  *number_.data<int64_t>() = number;
  batch_.fill(fresh, replayed);
  if (distill_) {
    const auto held = held_.span<float>();
    std::ranges::fill(held, 0.f);
    const size_t first = replayed.empty() ? 0 : fresh.size(), count = fresh.size() + replayed.size() - first;
    std::ranges::fill(held.subspan(first, count), 1.f);
  }
  program_->run(feeds_, *stream_);
  const auto loss = static_cast<double>(program_->output("loss").item<float>());
  const auto norm = static_cast<double>(program_->output("gradient_norm").item<float>());
  WN_CHECK(std::isfinite(loss) && std::isfinite(norm), Error,
           "the {} of batch {} is not finite; the parameters are as they were before it. Lower --learning-rate, or go "
           "back with --rollback",
           std::isfinite(loss) ? "gradient" : "loss", number);
  return loss;
}

}  // namespace winnow
