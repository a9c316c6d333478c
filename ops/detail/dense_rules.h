// The dense optimizers' rules for one element, the same on every device. kStates: tensors beside a parameter; kCoupled:
// weight decay and l1 are part of the gradient. Contract: ops/optimizers.h.
#pragma once
#include "ops/detail/optimizer_rules.h"

namespace winnow::dense {

template <class T>
struct Sgd {
  static constexpr int kStates = 0;
  static constexpr bool kCoupled = true;
  T lr;
  WN_HD Sgd(const RuleParams&, double rate, int64_t) : lr(static_cast<T>(rate)) {}
  WN_HD void operator()(T g, T& w) const { w -= lr * g; }
};
template <class T>
struct Momentum {
  static constexpr int kStates = 1;
  static constexpr bool kCoupled = true;
  T lr, momentum, ahead, here;  // the step is here * g + ahead * buffer
  WN_HD Momentum(const RuleParams& p, double rate, int64_t)
      : lr(static_cast<T>(rate)),
        momentum(static_cast<T>(p.momentum)),
        ahead(p.nesterov ? momentum : T{1}),
        here(p.nesterov ? T{1} : T{0}) {}
  WN_HD void operator()(T g, T& w, T& buffer) const {
    buffer = momentum * buffer + g;
    w -= lr * (here * g + ahead * buffer);
  }
};
template <class T>
struct Adam : AdamStep<T> {
  static constexpr int kStates = 2;
  static constexpr bool kCoupled = true;
  WN_HD Adam(const RuleParams& p, double rate, int64_t step) : AdamStep<T>(p, rate, step, false) {}
};
template <class T>
struct AdamW : AdamStep<T> {
  static constexpr int kStates = 2;
  static constexpr bool kCoupled = false;
  WN_HD AdamW(const RuleParams& p, double rate, int64_t step) : AdamStep<T>(p, rate, step, true) {}
};
template <class T>
struct Rmsprop {
  static constexpr int kStates = 1;
  static constexpr bool kCoupled = true;
  T lr, alpha, rest, eps;
  WN_HD Rmsprop(const RuleParams& p, double rate, int64_t)
      : lr(static_cast<T>(rate)),
        alpha(static_cast<T>(p.alpha)),
        rest(static_cast<T>(1 - p.alpha)),
        eps(static_cast<T>(p.eps)) {}
  WN_HD void operator()(T g, T& w, T& square) const {
    square = alpha * square + rest * g * g;
    w -= lr * g / (std::sqrt(square) + eps);
  }
};
template <class T>
struct Adagrad : AdagradStep<T> {
  static constexpr int kStates = 1;
  static constexpr bool kCoupled = true;
  WN_HD Adagrad(const RuleParams& p, double rate, int64_t step)
      : AdagradStep<T>{static_cast<T>(rate / (1 + static_cast<double>(step - 1) * p.lr_decay)), static_cast<T>(p.eps)} {
  }
};
template <class T>
struct Ftrl : FtrlStep<T> {
  static constexpr int kStates = 2;
  static constexpr bool kCoupled = false;
  WN_HD Ftrl(const RuleParams& p, double rate, int64_t) : FtrlStep<T>(p, rate) {}
};

template <class T>
struct Accumulate {
  static constexpr int kStates = 0;
  static constexpr bool kCoupled = false;
  T keep;
  WN_HD Accumulate(const RuleParams&, double rate, int64_t) : keep(static_cast<T>(rate)) {}
  WN_HD void operator()(T g, T& w) const { w = keep > 0 ? keep * w + g : g; }
};

// sgd keeps a buffer only when it has momentum.
inline int states_of_sgd(const Attrs& a) { return a.number("momentum", 0) > 0 ? 1 : 0; }

}  // namespace winnow::dense
