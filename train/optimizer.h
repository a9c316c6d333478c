// Optimizer: writes the update of every parameter as graph nodes after backward(), and owns the optimizer's state.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "nn/module.h"
#include "ops/optimizers.h"
#include "train/gradient_buffers.h"

namespace winnow {

struct OptimizerOptions {
  std::string name = "adam";             // dense parameters: sgd adam adamw rmsprop adagrad lamb ftrl
  std::string embedding = "adam";        // tables: sgd adagrad rowwise_adagrad adam adam_lazy ftrl
  double embedding_learning_rate = 0;    // tables, before the schedule; 0: that of the dense parameters
  double momentum = 0;                   // sgd
  bool nesterov = false;                 // sgd
  double beta1 = 0.9, beta2 = 0.999;     // adam family
  double eps = 0;                        // 0: the operator's default
  double weight_decay = 0;               // decoupled: adamw and lamb
  double net_regularizer = 0;            // lambda: gradient += lambda * w on weights (not biases, not norms)
  double net_l1 = 0;                     // gradient += l1 * sign(w) on weights
  double embedding_regularizer = 0;      // lambda on every row of every table at every step; embedding: adam
  double embedding_row_regularizer = 0;  // lambda on the rows that the batch touched
  double embedding_l1 = 0;
  double initial_accumulator = 0;  // adagrad family
  double clip_norm = 0;            // global norm over all gradients; 0: none
  double clip_value = 0;           // per element; 0: none
  // The factor on the learning rate of a dense parameter, by its name; empty: 1 for all.
  std::function<double(const std::string& parameter)> rate_factor = {};
};

class Optimizer {
 public:
  explicit Optimizer(OptimizerOptions options);  // ConfigError: unknown names, settings that contradict each other
  // learning_rate f32 [], step i64 [] (1 at the first step). Also records the output "gradient_norm": over the dense
  // gradients, and the rows' when clip_norm is set. When it is not finite the step changes nothing (NaN guard).
  // Several graphs over the same parameters share one state.
  // ratio: embedding_learning_rate / base_learning_rate is applied to the scheduled rate.
  // gathered: the gradients are those of the buffers, not of this graph's backward().
  void emit(Graph& graph, const std::vector<Parameter>& parameters, Value learning_rate, Value step,
            double base_learning_rate, const GradientBuffers* gathered = nullptr);
  const std::vector<VariablePtr>& state() const { return state_; }
  // ConfigError: the tables' optimizer does not go with rows that lie in host memory (nn/row_cache.h).
  static void check_cached(const OptimizerOptions& options);

 private:
  struct Table;
  Value state_value(Graph& graph, const Parameter& p, const StateSpec& spec);
  void update_dense(Graph& graph, const std::vector<const Parameter*>& params, const std::vector<Value>& grads,
                    bool regularized, const StepScalars& step);
  void update_table(Graph& graph, const Table& table, const StepScalars& step);
  OptimizerOptions options_;
  std::vector<VariablePtr> state_;
};

}  // namespace winnow
