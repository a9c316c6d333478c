// Layers that are more than one operator.
#pragma once
#include <string>
#include <vector>

#include "nn/module.h"

namespace winnow {

// y = x W + b; x [B, in], W [in, out], b [out].
class Linear final : public Module {
 public:
  Linear(int64_t in, int64_t out, bool bias = true, Init init = Init::xavier_normal());
  Value operator()(Value x, Loc loc = Loc::current()) const;

 private:
  Parameter* weight_;
  Parameter* bias_ = nullptr;
};

// Ioffe and Szegedy 2015 over the rows of x [B, N] whose weight is not 0; inference uses the running statistics.
class BatchNorm final : public Module {
 public:
  explicit BatchNorm(int64_t width, double momentum = 0.1, double eps = 1e-5);
  Value operator()(Value x, Value row_weight, bool training, Loc loc = Loc::current()) const;

 private:
  double momentum_, eps_;
  Parameter *gamma_, *beta_, *mean_, *variance_;
};

// An activation by its name in configs: relu, leaky_relu, gelu, gelu_tanh, silu, sigmoid, tanh, none.
// ConfigError lists the names.
Value activation(const std::string& name, Value x, Loc loc = Loc::current());

// What layers must know about the step being recorded.
struct StepContext {
  Value step;        // i64 [], keys dropout
  Value row_weight;  // f32 [B], 0 for padding rows
  bool training = false;
};

struct MlpOptions {
  std::vector<int64_t> hidden_units;
  std::string activation = "relu";
  double dropout = 0;
  bool batch_norm = false;
  int64_t output = 0;  // > 0: one more linear layer of this width, without activation
};

// For each hidden width: Linear, BatchNorm, activation, dropout.
class Mlp final : public Module {
 public:
  Mlp(int64_t in, const MlpOptions& options);
  Value operator()(Value x, const StepContext& context, Loc loc = Loc::current()) const;
  int64_t width() const { return width_; }  // of the result

 private:
  MlpOptions options_;
  std::vector<Linear*> linears_;
  std::vector<BatchNorm*> norms_;
  int64_t width_;
};

}  // namespace winnow
