#include "train/gradient_buffers.h"

#include <algorithm>

#include "ops/optimizers.h"

namespace winnow {

VariablePtr GradientBuffers::find(const Parameter& parameter) const {
  const auto at = std::ranges::find(buffers_, parameter.name(), [](const VariablePtr& v) { return v->name; });
  return at == buffers_.end() ? nullptr : *at;
}

Value GradientBuffers::gradient(Graph& graph, const Parameter& parameter) const {
  const VariablePtr buffer = find(parameter);
  return buffer == nullptr ? Value{} : graph.persistent(buffer);
}

void GradientBuffers::record(Graph& graph, const std::vector<Parameter>& parameters, Value keep, Value share) {
  DenseGroup group;
  for (const Parameter& p : parameters) {
    if (p.group == Group::Statistic) continue;
    const Value value = graph.persistent(p.recorded()), gradient = graph.gradient(value);
    WN_CHECK(graph.row_gradients(value).empty(), ConfigError,
             "train.accumulate_steps: '{}' is an embedding table, whose gradient is the rows of one batch; use a "
             "larger train.batch_size instead",
             p.name());
    if (!gradient) continue;
    if (find(p) == nullptr) {
      auto buffer = std::make_shared<Variable>();
      buffer->name = p.name();
      buffer->trainable = false;
      buffer->value = Tensor::zeros(p.value().spec());
      buffers_.push_back(std::move(buffer));
    }
    group.params.push_back(graph.persistent(find(p)));
    group.grads.push_back(gradient);
  }
  WN_CHECK(!group.params.empty(), Error, "the loss depends on no trainable parameter");
  accumulate(group, {keep, graph.constant(Tensor::zeros({DType::I64, {}})), share});
}

}  // namespace winnow
