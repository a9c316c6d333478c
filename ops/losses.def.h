// Losses of one prediction and one label, one struct each, for every backend; ops/losses.cpp registers them.
// f is the loss, gradient its derivative by the prediction x; further arguments are the parameters in order.
#pragma once
#include <array>

#include "core/math.h"
#include "ops/pointwise.def.h"

namespace winnow::losses {

using pointwise::List;
using pointwise::Parameter;

struct Loss {
  static constexpr std::array<Parameter, 0> kParameters{};
  static constexpr bool kSymmetric = false;         // depends on x - label only: labels get the opposite gradient
  static constexpr bool kBinary = true;             // labels are 0 or 1 (or between)
  static constexpr std::array<double, 0> kKinks{};  // in x, for labels 0 and 1: samples keep away from these
};

struct BceWithLogits : Loss {
  static constexpr const char* kName = "bce_with_logits";
  static constexpr const char* kDoc =
      "sum w l / sum w, l = log(1 + e^x) - x t, t = label (1 - label_smoothing) + label_smoothing / 2";
  static constexpr std::array kParameters{Parameter{"label_smoothing", 0, 0.1}};
  static const char* invalid(double smoothing, double) {
    return smoothing >= 0 && smoothing < 1 ? nullptr : "label_smoothing must lie in [0, 1)";
  }
  template <class T>
  WN_HD static T target(T label, T smoothing) {
    return math::fma(label, T(1) - smoothing, T(0.5) * smoothing);
  }
  template <class T>
  WN_HD static T f(T x, T label, T smoothing) {
    const T positive = x > T(0) ? x : T(0);
    return math::fma(-x, target(label, smoothing), positive) + math::log1p(math::exp(-math::abs(x)));
  }
  template <class T>
  WN_HD static T gradient(T x, T label, T smoothing) {
    const T t = target(label, smoothing), s = math::sigmoid(-math::abs(x));  // s = min(p, 1 - p), p = sigmoid(x)
    const T above = (T(1) - t) - s;
    return x > T(0) ? above : s - t;
  }
};

struct Mse : Loss {
  static constexpr const char* kName = "mse";
  static constexpr const char* kDoc = "sum w l / sum w, l = (x - label)^2";
  static constexpr bool kSymmetric = true, kBinary = false;
  template <class T>
  WN_HD static T f(T x, T label) {
    return (x - label) * (x - label);
  }
  template <class T>
  WN_HD static T gradient(T x, T label) {
    return T(2) * (x - label);
  }
};

struct Mae : Loss {
  static constexpr const char* kName = "mae";
  static constexpr const char* kDoc = "sum w l / sum w, l = |x - label|; the derivative at 0 is 0";
  static constexpr bool kSymmetric = true;
  static constexpr std::array kKinks{0.0, 1.0};
  template <class T>
  WN_HD static T f(T x, T label) {
    return math::abs(x - label);
  }
  template <class T>
  WN_HD static T gradient(T x, T label) {
    return pointwise::Abs::gradient(T(1), x - label);
  }
};

struct Huber : Loss {
  static constexpr const char* kName = "huber";
  static constexpr const char* kDoc =
      "sum w l / sum w, l = d^2 / 2 for |d| <= delta, else delta (|d| - delta / 2), d = x - label (Huber 1964)";
  static constexpr std::array kParameters{Parameter{"delta", 1, 1}};
  static constexpr bool kSymmetric = true;
  static constexpr std::array kKinks{-1.0, 0.0, 1.0, 2.0};
  static const char* invalid(double delta, double) { return delta > 0 ? nullptr : "delta must be positive"; }
  template <class T>
  WN_HD static T f(T x, T label, T delta) {
    const T d = math::abs(x - label), far = delta * (d - T(0.5) * delta);
    return d > delta ? far : T(0.5) * d * d;
  }
  template <class T>
  WN_HD static T gradient(T x, T label, T delta) {
    return pointwise::Clamp::f(x - label, -delta, delta);
  }
};

struct Hinge : Loss {
  static constexpr const char* kName = "hinge";
  static constexpr const char* kDoc = "sum w l / sum w, l = max(0, 1 - y x), y = 2 label - 1 for labels 0 and 1";
  static constexpr std::array kKinks{-1.0, 1.0};
  template <class T>
  WN_HD static T f(T x, T label) {
    return pointwise::Relu::f(math::fma(math::fma(T(-2), label, T(1)), x, T(1)));
  }
  template <class T>
  WN_HD static T gradient(T x, T label) {
    const T minus_y = math::fma(T(-2), label, T(1));
    return math::fma(minus_y, x, T(1)) <= T(0) ? T(0) : minus_y;
  }
};

struct Focal : Loss {
  static constexpr const char* kName = "focal";
  static constexpr const char* kDoc =
      "sum w l / sum w, l = -label a1 (1 - p)^gamma log p - (1 - label) a0 p^gamma log(1 - p), p = sigmoid(x), a1 = "
      "alpha, "
      "a0 = 1 - alpha; both 1 for alpha = -1 (Lin et al. 2017)";
  static constexpr std::array kParameters{Parameter{"gamma", 2, 2}, Parameter{"alpha", 0.25, 0.25}};
  static const char* invalid(double gamma, double alpha) {
    if (!(gamma >= 0)) return "gamma must not be negative";
    return (alpha >= 0 && alpha <= 1) || alpha == -1 ? nullptr : "alpha must lie in [0, 1], or be -1";
  }
  // With z = x for label 1 and -x for label 0: l = (1 - q)^gamma * -log q, q = sigmoid(z).
  template <class T>
  WN_HD static T one_side(T z, T gamma) {
    return math::exp(-gamma * math::softplus(z)) * math::softplus(-z);
  }
  template <class T>
  WN_HD static T one_side_gradient(T z, T gamma) {
    const T p = math::sigmoid(z), q = math::sigmoid(-z);
    return -math::exp(-gamma * math::softplus(z)) * math::fma(gamma * p, math::softplus(-z), q);
  }
  template <class T>
  WN_HD static T f(T x, T label, T gamma, T alpha) {
    const T a1 = alpha < T(0) ? T(1) : alpha, a0 = alpha < T(0) ? T(1) : T(1) - alpha;
    return label * a1 * one_side(x, gamma) + (T(1) - label) * a0 * one_side(-x, gamma);
  }
  template <class T>
  WN_HD static T gradient(T x, T label, T gamma, T alpha) {
    const T a1 = alpha < T(0) ? T(1) : alpha, a0 = alpha < T(0) ? T(1) : T(1) - alpha;
    return label * a1 * one_side_gradient(x, gamma) - (T(1) - label) * a0 * one_side_gradient(-x, gamma);
  }
};

using All = List<BceWithLogits, Mse, Mae, Huber, Hinge, Focal>;

}  // namespace winnow::losses
