// The pointwise operators, one struct each, for every backend. To add one, write its struct and name it in the list at
// the end of this file: ops/pointwise.cpp (ops/binary.cpp) registers the operator, its gradient, its samples and its
// documentation from it, and ops/*.cu its CUDA kernels. Other kernels (matmul epilogues, losses) call f and gradient.
#pragma once
#include <array>
#include <limits>

#include "core/math.h"

namespace winnow::pointwise {

struct Parameter {
  const char* name;  // attribute
  double fallback;
  double sample;  // value in the generated samples
};

// Error bounds as in core/op.h: ulp relative to the element, sum relative to the largest element.
struct Bounds {
  double ulp, sum = 0;
};

// What a unary operator may redefine. It must have
//   kName, kDoc and  template <class T> static T f(T x, T parameters...),
//   template <class T> static T gradient(T dy, T v, T parameters...) = dy * f'(x), v = y if kGradientReadsOutput else
//   x.
struct Unary {
  static constexpr std::array<Parameter, 0> kParameters{};
  static constexpr bool kGradientReadsOutput = false;
  static constexpr bool kPiecewiseLinear = false;   // f'' = 0: the gradient operator is differentiable in dy
  static constexpr std::array<double, 0> kKinks{};  // in v: derivative samples keep away from these
  static constexpr double kLow = -3, kHigh = 3;     // samples are drawn from [kLow, kHigh)
  static constexpr std::array kExtremes{-40.0, -12.0, -1e-3, 1e-3, 3.5, 12.0, 40.0};  // one further sample of f
  static constexpr Bounds kBounds{4}, kGradientBounds{6, 4};
  static constexpr bool kExact = false;  // small integers in, exact results out
};

struct Relu : Unary {
  static constexpr const char* kName = "relu";
  static constexpr const char* kDoc = "y = max(x, 0); NaN stays NaN. The derivative at 0 is 0.";
  static constexpr bool kGradientReadsOutput = true, kPiecewiseLinear = true, kExact = true;
  static constexpr std::array kKinks{0.0};
  static constexpr double kLow = -1, kHigh = 3;
  static constexpr Bounds kBounds{0}, kGradientBounds{0};
  template <class T>
  WN_HD static T f(T x) {
    return x < T(0) ? T(0) : x;
  }
  template <class T>
  WN_HD static T gradient(T dy, T y) {
    return y <= T(0) ? T(0) : dy;
  }
};

struct LeakyRelu : Unary {
  static constexpr const char* kName = "leaky_relu";
  static constexpr const char* kDoc = "y = x for x >= 0, else slope * x (Maas et al. 2013). The derivative at 0 is 1.";
  static constexpr std::array kParameters{Parameter{"slope", 0.01, 0.2}};
  static constexpr bool kPiecewiseLinear = true;
  static constexpr std::array kKinks{0.0};
  static constexpr Bounds kBounds{1}, kGradientBounds{1};
  template <class T>
  WN_HD static T f(T x, T slope) {
    return x < T(0) ? slope * x : x;
  }
  template <class T>
  WN_HD static T gradient(T dy, T x, T slope) {
    return x < T(0) ? slope * dy : dy;
  }
};

struct Gelu : Unary {
  static constexpr const char* kName = "gelu";
  static constexpr const char* kDoc = "y = x Phi(x), Phi the normal distribution function (Hendrycks, Gimpel 2016).";
  static constexpr Bounds kBounds{7};
  template <class T>
  WN_HD static T f(T x) {
    return x * math::normal_cdf(x);
  }
  template <class T>
  WN_HD static T gradient(T dy, T x) {
    return dy * math::fma(x, math::normal_pdf(x), math::normal_cdf(x));
  }
};

struct GeluTanh : Unary {
  static constexpr const char* kName = "gelu_tanh";
  static constexpr const char* kDoc =
      "y = x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) (Hendrycks, Gimpel 2016, section 2).";
  static constexpr Bounds kBounds{8, 2};  // the argument of exp grows like x^3, and with it its absolute rounding
  // 1 + tanh(u) = 2 sigmoid(2u), without the cancellation
  template <class T>
  WN_HD static T twice_u(T x) {
    constexpr T kScale = T(1.59576912160573071176);  // 2 sqrt(2 / pi)
    return x * math::fma(x * x, kScale * T(0.044715), kScale);
  }
  template <class T>
  WN_HD static T f(T x) {
    return x * math::sigmoid(twice_u(x));
  }
  template <class T>
  WN_HD static T gradient(T dy, T x) {
    constexpr T kScale = T(1.59576912160573071176);
    const T s = math::sigmoid(twice_u(x)), slope = math::fma(x * x, 3 * kScale * T(0.044715), kScale);
    return dy * math::fma(x * s * (T(1) - s), slope, s);
  }
};

struct Silu : Unary {
  static constexpr const char* kName = "silu";
  static constexpr const char* kDoc = "y = x sigmoid(x) (Elfwing et al. 2017; swish).";
  template <class T>
  WN_HD static T f(T x) {
    return x * math::sigmoid(x);
  }
  template <class T>
  WN_HD static T gradient(T dy, T x) {
    const T s = math::sigmoid(x);
    return dy * math::fma(x * s, T(1) - s, s);
  }
};

struct Sigmoid : Unary {
  static constexpr const char* kName = "sigmoid";
  static constexpr const char* kDoc = "y = 1 / (1 + e^-x)";
  static constexpr bool kGradientReadsOutput = true;
  static constexpr Bounds kBounds{2}, kGradientBounds{3};
  template <class T>
  WN_HD static T f(T x) {
    return math::sigmoid(x);
  }
  template <class T>
  WN_HD static T gradient(T dy, T y) {
    return dy * y * (T(1) - y);
  }
};

struct Tanh : Unary {
  static constexpr const char* kName = "tanh";
  static constexpr const char* kDoc = "y = tanh(x), element by element";
  static constexpr bool kGradientReadsOutput = true;
  static constexpr Bounds kBounds{2}, kGradientBounds{3};
  template <class T>
  WN_HD static T f(T x) {
    return math::tanh(x);
  }
  template <class T>
  WN_HD static T gradient(T dy, T y) {
    return dy * ((T(1) - y) * (T(1) + y));
  }
};

struct Softplus : Unary {
  static constexpr const char* kName = "softplus";
  static constexpr const char* kDoc = "y = log(1 + e^x)";
  static constexpr Bounds kBounds{2}, kGradientBounds{3};
  template <class T>
  WN_HD static T f(T x) {
    return math::softplus(x);
  }
  template <class T>
  WN_HD static T gradient(T dy, T x) {
    return dy * math::sigmoid(x);
  }
};

struct Exp : Unary {
  static constexpr const char* kName = "exp";
  static constexpr const char* kDoc = "y = e^x, element by element";
  static constexpr bool kGradientReadsOutput = true;
  static constexpr std::array kExtremes{-87.0, -20.0, -1e-6, 0.0, 1e-6, 20.0, 88.5};
  static constexpr Bounds kBounds{2}, kGradientBounds{1};
  template <class T>
  WN_HD static T f(T x) {
    return math::exp(x);
  }
  template <class T>
  WN_HD static T gradient(T dy, T y) {
    return dy * y;
  }
};

struct Log : Unary {
  static constexpr const char* kName = "log";
  static constexpr const char* kDoc = "y = log(x), natural; log(0) = -inf, NaN for x < 0";
  static constexpr double kLow = 0.1, kHigh = 4;
  static constexpr std::array kExtremes{1e-40, 1e-30, 0.999, 1.001, 2.0, 1e20, 3e38};
  static constexpr Bounds kBounds{2}, kGradientBounds{1};
  template <class T>
  WN_HD static T f(T x) {
    return math::log(x);
  }
  template <class T>
  WN_HD static T gradient(T dy, T x) {
    return dy / x;
  }
};

struct Sqrt : Unary {
  static constexpr const char* kName = "sqrt";
  static constexpr const char* kDoc = "y = sqrt(x); NaN for x < 0";
  static constexpr bool kGradientReadsOutput = true;
  static constexpr double kLow = 0.1, kHigh = 4;
  static constexpr std::array kExtremes{0.0, 1e-30, 0.25, 2.0, 1e10, 1e20, 3e38};
  static constexpr Bounds kBounds{1}, kGradientBounds{2};
  template <class T>
  WN_HD static T f(T x) {
    return math::sqrt(x);
  }
  template <class T>
  WN_HD static T gradient(T dy, T y) {
    return T(0.5) * dy / y;
  }
};

struct Abs : Unary {
  static constexpr const char* kName = "abs";
  static constexpr const char* kDoc = "y = |x|. The derivative at 0 is 0.";
  static constexpr bool kPiecewiseLinear = true, kExact = true;
  static constexpr std::array kKinks{0.0};
  static constexpr Bounds kBounds{0}, kGradientBounds{0};
  template <class T>
  WN_HD static T f(T x) {
    return math::abs(x);
  }
  template <class T>
  WN_HD static T gradient(T dy, T x) {
    const T below = x < T(0) ? -dy : T(0);
    return x > T(0) ? dy : below;
  }
};

struct Neg : Unary {
  static constexpr const char* kName = "neg";
  static constexpr const char* kDoc = "y = -x, element by element";
  static constexpr bool kPiecewiseLinear = true, kExact = true;
  static constexpr Bounds kBounds{0}, kGradientBounds{0};
  template <class T>
  WN_HD static T f(T x) {
    return -x;
  }
  template <class T>
  WN_HD static T gradient(T dy, T) {
    return -dy;
  }
};

struct Square : Unary {
  static constexpr const char* kName = "square";
  static constexpr const char* kDoc = "y = x^2, element by element";
  static constexpr bool kExact = true;
  static constexpr std::array kExtremes{-1e18, -1e3, -1e-3, 1e-3, 7.0, 1e3, 1e18};
  static constexpr Bounds kBounds{1}, kGradientBounds{1};
  template <class T>
  WN_HD static T f(T x) {
    return x * x;
  }
  template <class T>
  WN_HD static T gradient(T dy, T x) {
    return T(2) * dy * x;
  }
};

struct Clamp : Unary {
  static constexpr const char* kName = "clamp";
  static constexpr const char* kDoc =
      "y = min(max(x, low), high); NaN stays NaN. The derivative is 1 in [low, high] and 0 outside.";
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  static constexpr std::array kParameters{Parameter{"low", -kInfinity, -2}, Parameter{"high", kInfinity, 2}};
  static constexpr bool kPiecewiseLinear = true, kExact = true;
  static constexpr std::array kKinks{-2.0, 2.0};
  static constexpr Bounds kBounds{0}, kGradientBounds{0};
  static const char* invalid(double low, double high) { return low <= high ? nullptr : "low must not be above high"; }
  template <class T>
  WN_HD static T f(T x, T low, T high) {
    const T y = x < low ? low : x;
    return y > high ? high : y;
  }
  template <class T>
  WN_HD static T gradient(T dy, T x, T low, T high) {
    const T y = x < low ? T(0) : dy;
    return x > high ? T(0) : y;
  }
};

struct Affine : Unary {
  static constexpr const char* kName = "affine";
  static constexpr const char* kDoc = "y = scale * x + shift";
  static constexpr std::array kParameters{Parameter{"scale", 1, -1.5}, Parameter{"shift", 0, 0.5}};
  static constexpr bool kPiecewiseLinear = true, kExact = true;
  static constexpr Bounds kBounds{1, 1}, kGradientBounds{1};
  template <class T>
  WN_HD static T f(T x, T scale, T shift) {
    return math::fma(scale, x, shift);
  }
  template <class T>
  WN_HD static T gradient(T dy, T, T scale, T) {
    return scale * dy;
  }
};

// How the gradient of a binary operator is recorded.
//   Sum       y = a + kSign * b: dy and kSign * dy, no operator of its own
//   Product   y = a * b: dy * b and dy * a
//   Own       an operator <name>_grad(dy, a, b; wrt) from gradient_a and gradient_b
// Afterwards each is summed over the axes along which its input was repeated.
enum class Chain { Sum, Product, Own };

// What a binary operator may redefine. It must have kName, kDoc, kChain and f.
struct Binary {
  static constexpr double kLow = -3, kHigh = 3;  // samples of b are drawn from [kLow, kHigh)
  static constexpr Bounds kBounds{1}, kGradientBounds{3};
  static constexpr bool kExact = true;
};

struct Add : Binary {
  static constexpr const char* kName = "add";
  static constexpr const char* kDoc = "y = a + b, NumPy broadcasting";
  static constexpr Chain kChain = Chain::Sum;
  static constexpr int kSign = 1;
  template <class T>
  WN_HD static T f(T a, T b) {
    return a + b;
  }
};

struct Sub : Binary {
  static constexpr const char* kName = "sub";
  static constexpr const char* kDoc = "y = a - b, NumPy broadcasting";
  static constexpr Chain kChain = Chain::Sum;
  static constexpr int kSign = -1;
  template <class T>
  WN_HD static T f(T a, T b) {
    return a - b;
  }
};

struct Mul : Binary {
  static constexpr const char* kName = "mul";
  static constexpr const char* kDoc = "y = a * b, NumPy broadcasting";
  static constexpr Chain kChain = Chain::Product;
  template <class T>
  WN_HD static T f(T a, T b) {
    return a * b;
  }
};

struct Div : Binary {
  static constexpr const char* kName = "div";
  static constexpr const char* kDoc = "y = a / b, NumPy broadcasting";
  static constexpr Chain kChain = Chain::Own;
  static constexpr double kLow = 0.5, kHigh = 3;
  static constexpr bool kExact = false;
  template <class T>
  WN_HD static T f(T a, T b) {
    return a / b;
  }
  template <class T>
  WN_HD static T gradient_a(T dy, T, T b) {
    return dy / b;
  }
  template <class T>
  WN_HD static T gradient_b(T dy, T a, T b) {
    return -dy * (a / b) / b;
  }
};

struct Maximum : Binary {
  static constexpr const char* kName = "maximum";
  static constexpr const char* kDoc =
      "y = max(a, b), NumPy broadcasting; NaN if either is. Equal operands get half of the gradient each.";
  static constexpr Chain kChain = Chain::Own;
  template <class T>
  WN_HD static T f(T a, T b) {
    return math::max(a, b);
  }
  template <class T>
  WN_HD static T gradient_a(T dy, T a, T b) {
    const T tie = a < b ? T(0) : T(0.5) * dy;
    return a > b ? dy : tie;
  }
  template <class T>
  WN_HD static T gradient_b(T dy, T a, T b) {
    return gradient_a(dy, b, a);
  }
};

struct Minimum : Binary {
  static constexpr const char* kName = "minimum";
  static constexpr const char* kDoc =
      "y = min(a, b), NumPy broadcasting; NaN if either is. Equal operands get half of the gradient each.";
  static constexpr Chain kChain = Chain::Own;
  template <class T>
  WN_HD static T f(T a, T b) {
    return math::min(a, b);
  }
  template <class T>
  WN_HD static T gradient_a(T dy, T a, T b) {
    return Maximum::gradient_a(dy, b, a);
  }
  template <class T>
  WN_HD static T gradient_b(T dy, T a, T b) {
    return Maximum::gradient_a(dy, a, b);
  }
};

// The operators there are.
template <class... Op>
struct List {};
using UnaryOperators = List<Relu, LeakyRelu, Gelu, GeluTanh, Silu, Sigmoid, Tanh, Softplus, Exp, Log, Sqrt, Abs, Neg,
                            Square, Clamp, Affine>;
using BinaryOperators = List<Add, Sub, Mul, Div, Maximum, Minimum>;

}  // namespace winnow::pointwise
