// The row-sparse optimizers' rules for one element, the same on every device. kRowState: one state a row, kProximal: l1
// and l2 are the rule's own. Contract: ops/sparse_optimizers.h.
#pragma once
#include "ops/detail/optimizer_rules.h"

namespace winnow {

// What happens to the summed gradient before the rule sees it.
template <class T>
struct GradientTerms {
  T scale, clip, l1, l2;
  bool clipped, penalised;

  WN_HD GradientTerms(const RuleParams& p, double scale_, bool proximal)
      : scale(static_cast<T>(scale_)),
        clip(static_cast<T>(p.clip_value)),
        l1(static_cast<T>(p.l1)),
        l2(static_cast<T>(p.l2)),
        clipped(p.clip_value > 0),
        penalised(!proximal && (p.l1 != 0 || p.l2 != 0)) {}
  WN_HD T clip_of(T g) const { return g < -clip ? -clip : g > clip ? clip : g; }  // NaN stays
  WN_HD T penalty(T w) const { return l2 * w + l1 * sign(w); }
  WN_HD T operator()(T sum, T w) const {
    T g = sum * scale;
    if (clipped) g = clip_of(g);
    if (penalised) g += penalty(w);
    return g;
  }
};

}  // namespace winnow

namespace winnow::sparse {

template <class T>
struct Sgd {
  static constexpr int kStates = 0;
  static constexpr bool kRowState = false, kProximal = false;
  T lr;
  WN_HD Sgd(const RuleParams&, double rate, int64_t) : lr(static_cast<T>(rate)) {}
  WN_HD void operator()(T g, T& w) const { w -= lr * g; }
};

template <class T>
struct Adagrad : AdagradStep<T> {
  static constexpr int kStates = 1;
  static constexpr bool kRowState = false, kProximal = false;
  WN_HD Adagrad(const RuleParams& p, double rate, int64_t)
      : AdagradStep<T>{static_cast<T>(rate), static_cast<T>(p.eps)} {}
};

template <class T>
struct RowwiseAdagrad {
  static constexpr int kStates = 1;
  static constexpr bool kRowState = true, kProximal = false;
  T lr, eps;
  WN_HD RowwiseAdagrad(const RuleParams& p, double rate, int64_t)
      : lr(static_cast<T>(rate)), eps(static_cast<T>(p.eps)) {}
  // Adds the mean of d squares; the step's factor of g.
  WN_HD T factor(T squares, T& sum, int64_t d) const {
    sum += squares / static_cast<T>(d);
    return lr / (std::sqrt(sum) + eps);
  }
};

template <class T>
struct LazyAdam : AdamStep<T> {
  static constexpr int kStates = 2;
  static constexpr bool kRowState = false, kProximal = false;
  WN_HD LazyAdam(const RuleParams& p, double rate, int64_t step) : AdamStep<T>(p, rate, step, true) {}
};

template <class T>
struct Ftrl : FtrlStep<T> {
  static constexpr int kStates = 2;
  static constexpr bool kRowState = false, kProximal = true;
  WN_HD Ftrl(const RuleParams& p, double rate, int64_t) : FtrlStep<T>(p, rate) {}
};

template <class T>
struct ExactAdam : AdamStep<T> {
  static constexpr int kStates = 2;
  static constexpr bool kRowState = false, kProximal = false;
  bool can_rest;  // a row whose moments and gradient are zero does not move
  WN_HD ExactAdam(const RuleParams& p, double lr, int64_t step)
      : AdamStep<T>(p, lr, step, true),
        can_rest(p.l1 == 0 && p.l2 == 0 && p.weight_decay == 0 && p.eps > 0 && std::isfinite(this->step_size) &&
                 std::isfinite(this->inv_sqrt_correction2)) {}
};

}  // namespace winnow::sparse
