// One element of each optimizer, shared by the dense and the sparse operators. g: gradient, w: weight, then state.
#pragma once
#include <cmath>
#include <cstdint>

#include "core/math.h"
#include "core/op.h"

namespace winnow {

// Below these a moment becomes 0: it no longer moves a weight, and denormal arithmetic is slow on many processors.
inline constexpr float kLeastMoment = 1e-30f, kLeastSquare = 1e-37f;

template <class T>
WN_HD T sign(T x) {  // NaN of NaN
  return x > 0 ? T{1} : x < 0 ? T{-1} : x;
}

// Attributes of every optimizer, read once in prepare.
struct RuleParams {
  double beta1, beta2, eps, weight_decay, l1, l2, clip_value, ftrl_beta, alpha, lr_decay, momentum;
  bool nesterov, stochastic_rounding;
  uint64_t seed, stream;

  explicit RuleParams(const Attrs& a)
      : beta1(a.number("beta1", 0.9)),
        beta2(a.number("beta2", 0.999)),
        eps(a.number("eps", 0)),
        weight_decay(a.number("weight_decay", 0)),
        l1(a.number("l1", 0)),
        l2(a.number("l2", 0)),
        clip_value(a.number("clip_value", 0)),
        ftrl_beta(a.number("beta", 1)),
        alpha(a.number("alpha", 0.99)),
        lr_decay(a.number("lr_decay", 0)),
        momentum(a.number("momentum", 0)),
        nesterov(a.flag("nesterov")),
        stochastic_rounding(a.flag("stochastic_rounding")),
        seed(static_cast<uint64_t>(a.integer("seed", 0))),
        stream(static_cast<uint64_t>(a.integer("stream", 0))) {}
};

// Called by infer: wrong types are errors of Attrs, wrong values of Infer.
inline void infer_rule(const Infer& in) {
  const RuleParams p(in.attrs());
  const auto fraction = [&](const char* name, double x) {
    in.check(x >= 0 && x < 1, "{} {} is not in [0, 1)", name, x);
  };
  const auto positive = [&](const char* name, double x) {
    in.check(x >= 0 && x < 1e30, "{} {} is not in [0, 1e30)", name, x);
  };
  fraction("beta1", p.beta1);
  fraction("beta2", p.beta2);
  fraction("alpha", p.alpha);
  fraction("momentum", p.momentum);
  positive("eps", p.eps);
  positive("weight_decay", p.weight_decay);
  positive("l1", p.l1);
  positive("l2", p.l2);
  positive("clip_value", p.clip_value);
  positive("beta", p.ftrl_beta);
  positive("lr_decay", p.lr_decay);
}

// Kingma and Ba 2015, with the decoupled decay of Loshchilov and Hutter 2019.
template <class T>
struct AdamStep {
  T take1, keep2, take2, step_size, inv_sqrt_correction2, eps, shrink;

  WN_HD AdamStep(const RuleParams& p, double lr, int64_t step, bool decoupled)
      : take1(static_cast<T>(1 - p.beta1)),
        keep2(static_cast<T>(p.beta2)),
        take2(static_cast<T>(1 - p.beta2)),  // of the double: 1 - 0.999f is off by 5e-5
        step_size(static_cast<T>(lr / (1 - std::pow(p.beta1, static_cast<double>(step))))),
        inv_sqrt_correction2(static_cast<T>(1 / std::sqrt(1 - std::pow(p.beta2, static_cast<double>(step))))),
        eps(static_cast<T>(p.eps)),
        shrink(decoupled ? static_cast<T>(1 - lr * p.weight_decay) : T{1}) {}
  // m_hat / (sqrt(v_hat) + eps), times the learning rate
  WN_HD T direction(T m, T v) const { return step_size * m / (std::sqrt(v) * inv_sqrt_correction2 + eps); }
  WN_HD void moments(T g, T& m, T& v) const {
    const T next_m = m + take1 * (g - m), next_v = keep2 * v + take2 * g * g;
    m = std::abs(next_m) < T{kLeastMoment} ? T{0} : next_m;
    v = next_v < T{kLeastSquare} ? T{0} : next_v;
  }
  WN_HD void operator()(T g, T& w, T& m, T& v) const {
    moments(g, m, v);
    w = shrink * w - direction(m, v);
  }
};

// Duchi et al. 2011
template <class T>
struct AdagradStep {
  T lr, eps;
  WN_HD void operator()(T g, T& w, T& sum) const {
    sum += g * g;
    w -= lr * g / (std::sqrt(sum) + eps);
  }
};

// McMahan et al. 2013, algorithm 1
template <class T>
struct FtrlStep {
  T inv_lr, beta, l1, l2;
  WN_HD FtrlStep(const RuleParams& p, double lr)
      : inv_lr(static_cast<T>(1 / lr)),
        beta(static_cast<T>(p.ftrl_beta)),
        l1(static_cast<T>(p.l1)),
        l2(static_cast<T>(p.l2)) {}
  WN_HD void operator()(T g, T& w, T& z, T& n) const {
    const T next_n = n + g * g, root = std::sqrt(next_n);
    const T next_z = z + g - (root - std::sqrt(n)) * inv_lr * w;
    const T shrunk = next_z - std::copysign(l1, next_z);
    const T next_w = -shrunk / ((beta + root) * inv_lr + l2);
    w = std::abs(next_z) <= l1 ? T{0} : next_w;
    z = next_z;
    n = next_n;
  }
};

}  // namespace winnow
