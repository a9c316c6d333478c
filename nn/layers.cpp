#include "nn/layers.h"

#include "ops/batch_norm.h"
#include "ops/dropout.h"
#include "ops/matmul.h"
#include "ops/pointwise.h"

namespace winnow {

Linear::Linear(int64_t in, int64_t out, bool bias, Init init)
    : weight_(&parameter("weight", {in, out}, Group::Weight, init)) {
  if (bias) bias_ = &parameter("bias", {out}, Group::Bias, Init::zeros());
}
Value Linear::operator()(Value x, Loc loc) const {
  Graph& g = *x.graph;
  return linear(x, g.persistent(weight_->variable), bias_ == nullptr ? Value{} : g.persistent(bias_->variable), loc);
}

BatchNorm::BatchNorm(int64_t width, double momentum, double eps)
    : momentum_(momentum),
      eps_(eps),
      gamma_(&parameter("gamma", {width}, Group::Norm, Init::ones())),
      beta_(&parameter("beta", {width}, Group::Norm, Init::zeros())),
      mean_(&parameter("running_mean", {width}, Group::Statistic, Init::zeros())),
      variance_(&parameter("running_var", {width}, Group::Statistic, Init::ones())) {}
Value BatchNorm::operator()(Value x, Value row_weight, bool training, Loc loc) const {
  Graph& g = *x.graph;
  return batch_norm(x, g.persistent(gamma_->variable), g.persistent(beta_->variable), row_weight,
                    g.persistent(mean_->variable), g.persistent(variance_->variable), training, momentum_, eps_, loc);
}

Value activation(const std::string& name, Value x, Loc loc) {
  if (name == "none") return x;
  if (name == "relu") return relu(x, loc);
  if (name == "leaky_relu") return leaky_relu(x, 0.01, loc);
  if (name == "gelu") return gelu(x, loc);
  if (name == "gelu_tanh") return gelu_tanh(x, loc);
  if (name == "silu") return silu(x, loc);
  if (name == "sigmoid") return sigmoid(x, loc);
  if (name == "tanh") return tanh(x, loc);
  raise<ConfigError>("unknown activation '{}': use relu, leaky_relu, gelu, gelu_tanh, silu, sigmoid, tanh or none",
                     name);
}

Mlp::Mlp(int64_t in, const MlpOptions& options) : options_(options), width_(in) {
  int n = 0;
  for (const int64_t units : options.hidden_units) {
    linears_.push_back(&child<Linear>(std::to_string(n), width_, units));
    if (options.batch_norm) norms_.push_back(&child<BatchNorm>(fmt::format("{}.norm", n), units));
    width_ = units;
    ++n;
  }
  if (options.output > 0) {
    linears_.push_back(&child<Linear>(std::to_string(n), width_, options.output));
    width_ = options.output;
  }
}
Value Mlp::operator()(Value x, const StepContext& context, Loc loc) const {
  for (size_t i = 0; i < linears_.size(); ++i) {
    x = (*linears_[i])(x, loc);
    if (i >= options_.hidden_units.size()) break;
    if (options_.batch_norm) x = (*norms_[i])(x, context.row_weight, context.training, loc);
    x = activation(options_.activation, x, loc);
    if (context.training && options_.dropout > 0) x = dropout(x, options_.dropout, context.step, loc);
  }
  return x;
}

}  // namespace winnow
