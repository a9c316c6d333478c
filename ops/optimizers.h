// Dense optimizers over many tensors in one node: one parallel pass over fixed blocks of all tensors.
// Weight decay, eps and bias correction as in PyTorch. Every function mutates parameters and state.
#pragma once
#include <string>
#include <vector>

#include "core/graph.h"

namespace winnow {

// What changes from step to step. scale multiplies gradients (clip_scale); empty: 1. Where it is not finite the step
// changes nothing, neither parameters nor state: a gradient whose norm is NaN or infinite is never applied.
struct StepScalars {
  Value lr{};     // f32 []
  Value step{};   // i64 [], 1 at the first step
  Value scale{};  // f32 []
};

struct StateSpec {
  std::string name;  // "m", "v", "sum", ...
  TensorSpec spec;
  double initial = 0;
};
// State tensors of operator `op` (with `attrs`, which may switch momentum on) for one parameter, in order.
std::vector<StateSpec> dense_state(const std::string& op, const TensorSpec& parameter, const Attrs& attrs = {});

struct DenseGroup {
  std::vector<Value> params, grads;       // equal length and shapes, all f32 (f64)
  std::vector<std::vector<Value>> state;  // state[k][i]: k-th state tensor of parameter i, in the order below
};

struct SgdOptions {
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0, l1 = 0;
};
struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
};
struct RmspropOptions {
  double alpha = 0.99, eps = 1e-8, weight_decay = 0, l1 = 0;
};
struct AdagradOptions {
  double eps = 1e-10, lr_decay = 0, weight_decay = 0, l1 = 0;
};
struct FtrlOptions {
  double beta = 1, l1 = 0, l2 = 0;
};

// g = scale * grad [+ weight_decay * p + l1 * sign(p)]; with momentum buf = momentum * buf + g,
// p -= lr * (nesterov ? g + momentum * buf : buf). State: buf when momentum > 0
void sgd(const DenseGroup& group, const StepScalars& step, const SgdOptions& options = {}, Loc loc = Loc::current());
// Kingma and Ba 2015: g = scale * grad + weight_decay * p + l1 * sign(p); m += (1 - beta1)(g - m);
// v = beta2 v + (1 - beta2) g^2; p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps). State: m, v
void adam(const DenseGroup& group, const StepScalars& step, const AdamOptions& options = {}, double l1 = 0,
          Loc loc = Loc::current());
// Loshchilov and Hutter 2019: p -= lr * weight_decay * p, then adam without weight decay. State: m, v
void adamw(const DenseGroup& group, const StepScalars& step, const AdamOptions& options = {}, Loc loc = Loc::current());
// s = alpha s + (1 - alpha) g^2; p -= lr * g / (sqrt(s) + eps). Tieleman and Hinton 2012. State: s
void rmsprop(const DenseGroup& group, const StepScalars& step, const RmspropOptions& options = {},
             Loc loc = Loc::current());
// s += g^2; p -= lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps). Duchi et al. 2011. State: s
void adagrad(const DenseGroup& group, const StepScalars& step, const AdagradOptions& options = {},
             Loc loc = Loc::current());
// You et al. 2020: r = m^ / (sqrt(v^) + eps) + weight_decay * p; p -= lr * |p| / |r| * r, ratio 1 where a norm is 0.
// State: m, v
void lamb(const DenseGroup& group, const StepScalars& step, const AdamOptions& options = {}, Loc loc = Loc::current());
// McMahan et al. 2013, as sparse_ftrl. State: z, n
void ftrl(const DenseGroup& group, const StepScalars& step, const FtrlOptions& options = {}, Loc loc = Loc::current());

// Not an optimizer: p = keep * p + share * grad, and where keep is 0 p = share * grad, whatever p held. With keep = V /
// (V + v) and share = v / (V + v), v the weight of a gradient and V that of those before it, p is their weighted mean.
// Records in group.params; keep stands in lr, share in scale.
void accumulate(const DenseGroup& group, const StepScalars& step, Loc loc = Loc::current());

// Operators: inputs p_0.., g_0.., state by state, lr, step, scale.

}  // namespace winnow
