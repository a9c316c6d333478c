// Modes `ref` and `exact`: each kernel against the double reference on the same, already rounded inputs.
#include <algorithm>
#include <cfloat>
#include <cmath>

#include "tests/optest/each.h"
#include "tests/optest/fill.h"

namespace winnow::optest {
namespace {

using Doubles = std::vector<double>;

double epsilon(DType t) { return t == DType::F64 ? DBL_EPSILON : t == DType::BF16 ? 0x1p-7 : FLT_EPSILON; }
double largest(DType t) { return t == DType::F64 ? DBL_MAX : FLT_MAX; }

bool is_nan(double x) { return std::isnan(x); }

// "" or the worst element outside |y - ref| <= ulp * eps * |ref| + (sum * eps + rounding) * max|ref|.
std::string outside(const Tolerance& tolerance, double rounding, const Visible& got, const Doubles& y,
                    const Doubles& ref) {
  const DType t = got.tensor.dtype();
  double most = 0;
  for (const double r : ref)
    if (std::isfinite(r)) most = std::max(most, std::abs(r));
  double worst = 0;
  std::string text;
  for (size_t e = 0; e < ref.size(); ++e) {
    if (y[e] == ref[e] || (is_nan(y[e]) && is_nan(ref[e]))) continue;
    if (std::isinf(y[e]) && std::abs(ref[e]) > largest(t) && (y[e] > 0) == (ref[e] > 0)) continue;
    const double bound = is_float(t) ? tolerance.ulp * epsilon(t) * std::abs(ref[e]) +
                                           (tolerance.sum * epsilon(t) + rounding) * most + FLT_MIN
                                     : 0;
    double ratio = std::abs(y[e] - ref[e]) / std::max(bound, DBL_MIN);
    if (is_nan(ratio)) ratio = INFINITY;
    if (ratio <= 1 || ratio <= worst) continue;
    worst = ratio;
    text = fmt::format(
        "{}[{}] is {:.9g}, reference {:.9g}: {:.3g} ulp, {:.3g} eps of the largest element {:.3g} (allowed {} and "
        "{:.3g})",
        got.name, e, y[e], ref[e], std::abs(y[e] - ref[e]) / (epsilon(t) * std::abs(ref[e])),
        std::abs(y[e] - ref[e]) / (epsilon(t) * most), most, tolerance.ulp, tolerance.sum + rounding / epsilon(t));
  }
  return text;
}

// A result that hardly depends on anything cannot be trusted to test anything (RELIABILITY N5).
std::string mistrusted(const Visible& v, const Doubles& x, const std::vector<Tensor>& before) {
  if (x.size() < 4) return "";
  if (v.mutated) return same_bits(v.tensor, before[static_cast<size_t>(v.input)]) ? v.name + " was not changed" : "";
  const auto zeros = static_cast<size_t>(std::ranges::count(x, 0.0));
  if (2 * zeros > x.size()) return fmt::format("{} is zero in {} of {} elements", v.name, zeros, x.size());
  const bool constant = std::ranges::all_of(x, [&](double e) { return e == x[0]; });
  return constant ? fmt::format("{} is {} everywhere", v.name, x[0]) : "";
}

}  // namespace

int64_t check_ref(const Suite& suite, const Options& options) {
  Report report("ref", options);
  for_each_case(suite, report, Large::Too, [&](const Case& c, const NodeSpec& node) {
    const NodeSpec wide = required_wide_node_of(c);
    const auto in = filled(c), wide_in = inputs_for(wide, in);
    report.at(*c.op, c.sample->name, "reference", "in double");
    const auto expected = visible(wide, Prepared(reference_of(*c.op), wide).run(wide_in));
    std::vector<Doubles> ref;
    for (const Visible& v : expected) {
      ref.push_back(as_doubles(v.tensor));
      const std::string why = c.sample->constant_ok ? "" : mistrusted(v, ref.back(), wide_in);
      if (!why.empty()) report.fail(*c.op, c.sample->name, "", "mistrusted: " + why);
    }
    for_each_kernel(c, node, options, report, [&](const KernelDef& kernel, const Prepared& prepared) {
      const auto got = visible(node, prepared.run(in));
      for (size_t v = 0; v < got.size(); ++v) {
        const std::string text =
            outside(c.op->tolerance, c.sample->rounding, got[v], as_doubles(got[v].tensor), ref[v]);
        if (!text.empty()) report.fail(*c.op, c.sample->name, kernel.name, text);
      }
    });
  });
  report.summary();
  return report.failures();
}

int64_t check_exact(const Suite& suite, const Options& options) {
  Report report("exact", options);
  for_each_case(suite, report, Large::Not, [&](const Case& c, const NodeSpec& node) {
    if (!c.op->tolerance.exact_integers || !c.sample->integers) return;
    const NodeSpec wide = required_wide_node_of(c);
    const auto in = filled_with_integers(c), wide_in = inputs_for(wide, in);
    const auto expected = visible(wide, Prepared(reference_of(*c.op), wide).run(wide_in));
    for_each_kernel(c, node, options, report, [&](const KernelDef& kernel, const Prepared& prepared) {
      const auto got = visible(node, prepared.run(in));
      for (size_t v = 0; v < got.size(); ++v) {
        const Doubles y = as_doubles(got[v].tensor), ref = as_doubles(expected[v].tensor);
        for (size_t e = 0; e < y.size(); ++e) {
          if (y[e] == ref[e] || (is_nan(y[e]) && is_nan(ref[e]))) continue;
          report.fail(*c.op, c.sample->name, kernel.name,
                      fmt::format("{}[{}] is {:.17g}, exactly {:.17g}", got[v].name, e, y[e], ref[e]));
          break;
        }
      }
    });
  });
  report.summary();
  return report.failures();
}

}  // namespace winnow::optest
