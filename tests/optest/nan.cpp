// Mode `nan`: NaN and infinity propagate, and every kernel propagates them to the same elements (RELIABILITY N7).
#include <algorithm>
#include <cfloat>
#include <cmath>

#include "tests/optest/each.h"
#include "tests/optest/fill.h"

namespace winnow::optest {
namespace {

using Doubles = std::vector<double>;

bool is_nan(double x) { return std::isnan(x); }

// Elements of `t` (a copy) from `first` on, every `step`-th, become `value`.
Tensor with_value(const Tensor& t, double value, int64_t first, int64_t step) {
  Tensor copy = t.clone();
  visit_float(t.dtype(), "optest nan", [&]<class T>() {
    for (int64_t e = first; e < t.numel(); e += step) copy.data<T>()[e] = static_cast<T>(value);
  });
  return copy;
}

// A NaN stays a NaN. An infinity may become one: kernels order their sums and differences as they like.
enum class Kind { Finite, Infinite, Nan };
Kind kind_of(double x, bool injected_nan) {
  if (injected_nan) return is_nan(x) ? Kind::Nan : Kind::Finite;
  return std::abs(x) > FLT_MAX || is_nan(x) ? Kind::Infinite : Kind::Finite;
}
const char* name_of_kind(Kind k) { return k == Kind::Nan ? "NaN" : k == Kind::Infinite ? "not finite" : "a number"; }

bool any_nan(const std::vector<Visible>& list) {
  return std::ranges::any_of(list, [](const Visible& v) {
    return is_float(v.tensor.dtype()) && std::ranges::any_of(as_doubles(v.tensor), is_nan);
  });
}
bool any_float(const std::vector<Visible>& list) {
  return std::ranges::any_of(list, [](const Visible& v) { return is_float(v.tensor.dtype()) && v.tensor.numel() > 0; });
}

std::string other_kind(const std::vector<Visible>& got, const std::vector<Visible>& expected, bool injected_nan) {
  for (size_t v = 0; v < got.size(); ++v) {
    const Doubles y = as_doubles(got[v].tensor), ref = as_doubles(expected[v].tensor);
    for (size_t e = 0; e < y.size(); ++e) {
      const Kind a = kind_of(y[e], injected_nan), b = kind_of(ref[e], injected_nan);
      if (a != b)
        return fmt::format("{}[{}] is {} where the reference is {}", got[v].name, e, name_of_kind(a), name_of_kind(b));
    }
  }
  return "";
}

}  // namespace

int64_t check_nan(const Suite& suite, const Options& options) {
  Report report("nan", options);
  const Threads one(1);
  const int64_t largest = options.small ? 1 << 9 : 1 << 15;
  constexpr size_t kMostInputs = 12;  // of a small run: each input is one run more
  for_each_case(suite, report, Large::Not, [&](const Case& c, const NodeSpec& node) {
    if (!c.sample->nonfinite) return;
    const auto in = filled(c);
    const NodeSpec wide = required_wide_node_of(c);
    const Prepared reference(reference_of(*c.op), wide);
    for (size_t i = 0; i < in.size(); ++i) {
      const DType t = in[i].dtype();
      if (t != DType::F32 || in[i].numel() == 0 || in[i].numel() > largest) continue;
      if (options.small && i >= kMostInputs) break;
      auto all = in;
      all[i] = with_value(in[i], NAN, 0, 1);
      const auto swallowed = visible(wide, reference.run(inputs_for(wide, all)));
      if (c.sample->in[i].grad && !c.sample->constant_ok && any_float(swallowed) && !any_nan(swallowed))
        report.fail(*c.op, c.sample->name, "reference",
                    fmt::format("input {} full of NaN leaves no NaN in the result", i));
      for (const double special : {double{NAN}, double{INFINITY}, -double{INFINITY}}) {
        auto some = in;
        some[i] = with_value(in[i], special,
                             static_cast<int64_t>(hash_of(c.sample->name) % static_cast<uint64_t>(in[i].numel())),
                             in[i].numel());
        const auto expected = visible(wide, reference.run(inputs_for(wide, some)));
        for_each_kernel(c, node, options, report, [&](const KernelDef& kernel, const Prepared& prepared) {
          const std::string text = other_kind(visible(node, prepared.run(some)), expected, is_nan(special));
          if (!text.empty())
            report.fail(*c.op, c.sample->name, kernel.name, fmt::format("one {} in input {}: {}", special, i, text));
        });
      }
    }
  });
  report.summary();
  return report.failures();
}

}  // namespace winnow::optest
