// Mode `grad`: the gradient that backward() records, against central differences of the double reference.
//   h = 1e-5 * max(1, |x|), one Richardson step, |analytic - numeric| / max(1, |numeric|) < 1e-6   (RELIABILITY N1)
#include <algorithm>
#include <cmath>

#include "core/graph.h"
#include "core/program.h"
#include "core/rng.h"
#include "tests/optest/fill.h"
#include "tests/optest/runner.h"

namespace winnow::optest {
namespace {

constexpr double kTolerance = 1e-6;
constexpr int kMostCoordinates = 40;
constexpr double kElementBudget = 6e6;  // reference work (flops + elements) spent on one input of one sample

using Doubles = std::vector<double>;

// sum over the seeded outputs of <cotangent, y>, by the reference kernel.
class Objective {
 public:
  Objective(const NodeSpec& node, std::vector<Tensor> in, const std::vector<Tensor>& cotangents, int seeded)
      : kernel_(reference_of(*node.op), node), in_(std::move(in)), seeded_(seeded) {
    for (const Tensor& c : cotangents) cotangents_.push_back(as_doubles(c));
  }

  // d/dt of the objective at x_i + t * direction, t = 0. The outputs are subtracted before they are summed.
  double slope(size_t i, const Doubles& direction, double h) {
    const double coarse = central(i, direction, h), fine = central(i, direction, h / 2);
    return (4 * fine - coarse) / 3;
  }
  std::vector<Tensor> outputs() const { return kernel_.run(in_).out; }
  const Tensor& in(size_t i) const { return in_[i]; }
  bool reaches_outputs() const {  // false when every seeded output is empty
    return std::any_of(cotangents_.begin(), cotangents_.begin() + seeded_, [](const Doubles& c) { return !c.empty(); });
  }

 private:
  double central(size_t i, const Doubles& direction, double h) {
    const auto plus = at(i, direction, h), minus = at(i, direction, -h);
    double sum = 0;
    for (size_t o = 0; o < plus.size(); ++o)
      for (size_t e = 0; e < plus[o].size(); ++e) sum += cotangents_[o][e] * (plus[o][e] - minus[o][e]);
    return sum / (2 * h);
  }
  std::vector<Doubles> at(size_t i, const Doubles& direction, double t) {
    const Tensor original = in_[i];
    in_[i] = original.clone();
    double* x = in_[i].data<double>();
    for (size_t e = 0; e < direction.size(); ++e) x[e] += t * direction[e];
    std::vector<Doubles> values;
    const Result r = kernel_.run(in_);
    for (size_t o = 0; o < r.out.size() && static_cast<int>(o) < seeded_; ++o)
      values.push_back(is_float(r.out[o].dtype()) ? as_doubles(r.out[o]) : Doubles{});
    in_[i] = original;
    return values;
  }

  Prepared kernel_;
  std::vector<Tensor> in_;
  std::vector<Doubles> cotangents_;
  int seeded_;  // outputs 0 .. seeded_ - 1 count
};

struct Analytic {
  std::vector<std::optional<Doubles>> dx;  // per input; nullopt when backward() left none
  std::vector<Doubles> y;
  int seeded = 0;
};

bool wants_gradient(const Case& c, const NodeSpec& node, size_t i) {
  return c.sample->in[i].grad && node.in[i].dtype == DType::F64 && !mutates(node, i);
}

// Which outputs get a cotangent and which input must get a gradient.
struct Part {
  int first = 0, last = 1;  // outputs first .. last - 1
  int input = -1;           // -1: all that the sample differentiates
};

// Records the node between graph inputs and seeded outputs, compiles and runs it.
Analytic backward_of(const Case& c, const NodeSpec& node, const std::vector<Tensor>& in,
                     const std::vector<Tensor>& cotangents, const Part& part) {
  const auto wanted = [&](size_t i) {
    return wants_gradient(c, node, i) && (part.input < 0 || part.input == static_cast<int>(i));
  };
  Graph graph;
  std::vector<Value> x;
  std::vector<Tensor> feeds;
  for (size_t i = 0; i < in.size(); ++i) {
    if (mutates(node, i)) {
      auto variable = std::make_shared<Variable>(Variable{fmt::format("x{}", i), in[i].clone(), false, false});
      x.push_back(graph.persistent(variable));
      continue;
    }
    x.push_back(graph.input(fmt::format("x{}", i), node.in[i]));
    feeds.push_back(in[i]);
    if (wanted(i)) graph.require_grad(x.back());
  }
  const auto y = graph.apply_all(c.op->name, x, c.sample->attrs);
  std::vector<std::pair<Value, Value>> seeds;
  for (size_t o = 0; o < y.size(); ++o) {
    graph.output(fmt::format("y{}", o), y[o]);
    const bool seeded = part.first <= static_cast<int>(o) && static_cast<int>(o) < part.last;
    if (seeded && is_float(y[o].dtype())) seeds.emplace_back(y[o], graph.constant(cotangents[o]));
  }
  graph.backward(seeds);
  std::vector<bool> has(in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    if (!wanted(i)) continue;
    if (const Value dx = graph.gradient(x[i])) graph.output(fmt::format("dx{}", i), dx), has[i] = true;
  }
  Program program = compile(graph);
  const auto stream = make_stream({});
  program.run(feeds, *stream);
  Analytic a;
  a.seeded = part.last;
  for (size_t i = 0; i < in.size(); ++i)
    a.dx.push_back(has[i] ? std::optional(as_doubles(program.output(fmt::format("dx{}", i)))) : std::nullopt);
  for (size_t o = 0; o < y.size(); ++o) a.y.push_back(as_doubles(program.output(fmt::format("y{}", o))));
  return a;
}

double relative_error(double analytic, double numeric) {
  const double error = std::abs(analytic - numeric) / std::max(1.0, std::abs(numeric));
  return std::isnan(error) ? INFINITY : error;
}

class InputCheck {
 public:
  InputCheck(const Case& c, size_t input, const Doubles& dx, Objective& objective, Report& report)
      : c_(c),
        input_(input),
        dx_(dx),
        objective_(objective),
        report_(report),
        rng_(hash_of(fmt::format("{}/{}/{}/coordinates", c.op->name, c.sample->name, input)), c.seed) {}

  void run(int coordinates) {
    const size_t n = dx_.size();
    for (int k = 0; k < coordinates && static_cast<size_t>(k) < n; ++k) {
      const size_t e = n <= static_cast<size_t>(coordinates) ? static_cast<size_t>(k) : rng_.below(n);
      Doubles unit(n);
      unit[e] = 1;
      compare(unit, dx_[e], fmt::format("coordinate {}", e), std::abs(objective_.in(input_).data<double>()[e]), 1);
    }
    if (n > static_cast<size_t>(coordinates)) along_all(n);
    const bool zero = std::ranges::all_of(dx_, [](double g) { return g == 0; });
    if (n > 0 && zero && !c_.sample->constant_ok && objective_.reaches_outputs())
      report_.fail(*c_.op, c_.sample->name, "", fmt::format("input {}: all gradients are zero", input_));
  }

 private:
  void along_all(size_t n) {
    Doubles direction(n);
    double slope = 0, square = 0;
    for (size_t e = 0; e < n; ++e) {
      direction[e] = rng_.bits() & 1 ? 1 : -1;
      slope += direction[e] * dx_[e];
      square += dx_[e] * dx_[e];
    }
    compare(direction, slope, "a random direction", 1, std::max(1.0, std::sqrt(square)));
  }
  // A step that crosses a kink inside the operator disagrees at one h only; a wrong gradient at every h.
  void compare(const Doubles& direction, double analytic, const std::string& where, double x, double scale) {
    const double h = 1e-5 * std::max(1.0, x);
    double numeric = 0;
    for (const double step : {h, h / 16}) {
      numeric = objective_.slope(input_, direction, step);
      if (relative_error(analytic / scale, numeric / scale) < kTolerance) return;
    }
    report_.fail(
        *c_.op, c_.sample->name, "",
        fmt::format("input {}, {}: gradient {:.12g}, central differences {:.12g}", input_, where, analytic, numeric));
  }

  const Case& c_;
  size_t input_;
  const Doubles& dx_;
  Objective& objective_;
  Report& report_;
  Rng rng_;
};

std::vector<Tensor> random_cotangents(const Case& c, const NodeSpec& node) {
  std::vector<Tensor> list;
  for (size_t o = 0; o < node.out.size(); ++o) {
    Tensor t({DType::F64, node.out[o].shape});
    Rng rng(hash_of(fmt::format("{}/{}/cotangent {}", c.op->name, c.sample->name, o)), c.seed);
    for (double& e : t.span<double>()) e = rng.normal();
    list.push_back(t);
  }
  return list;
}

// An operator that cannot differentiate through a secondary output (saved statistics) refuses it with an Error that
// says "has no gradient"; then only output 0 is seeded. One that silently ignores it fails here.
Analytic backward_through_as_many(const Case& c, const NodeSpec& node, const std::vector<Tensor>& in,
                                  const std::vector<Tensor>& cotangents, const Report& report) {
  const int outputs = static_cast<int>(node.out.size());
  if (outputs == 1) return backward_of(c, node, in, cotangents, {});
  try {
    return backward_of(c, node, in, cotangents, {0, outputs});
  } catch (const Error& error) {
    if (std::string_view(error.what()).find("has no gradient") == std::string_view::npos) throw;
    report.note(fmt::format("{}/{}: through output 0 only: {}", c.op->name, c.sample->name, error.what()));
    return backward_of(c, node, in, cotangents, {});
  }
}

Doubles or_zeros(const std::optional<Doubles>& dx, size_t n) { return dx.value_or(Doubles(n)); }

void check_equal(const Case& c, size_t input, const Doubles& whole, const Doubles& alone, const std::string& what,
                 Report& report) {
  for (size_t e = 0; e < whole.size(); ++e)
    if (relative_error(whole[e], alone[e]) > 1e-9)
      return report.fail(
          *c.op, c.sample->name, "",
          fmt::format("input {}, coordinate {}: gradient {:.12g}, but {:.12g} {}", input, e, whole[e], alone[e], what));
}

// Rules take other paths when one input needs a gradient and when one output has one; the sums must be the same.
void check_parts(const Case& c, const NodeSpec& node, const std::vector<Tensor>& in,
                 const std::vector<Tensor>& cotangents, const Analytic& whole, Report& report) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (!wants_gradient(c, node, i)) continue;
    const auto n = static_cast<size_t>(in[i].numel());
    const Analytic alone = backward_of(c, node, in, cotangents, {0, whole.seeded, static_cast<int>(i)});
    check_equal(c, i, or_zeros(whole.dx[i], n), or_zeros(alone.dx[i], n), "when no other input needs one", report);
    Doubles sum(n);
    for (int o = 0; o < whole.seeded && whole.seeded > 1; ++o) {
      if (!is_float(node.out[static_cast<size_t>(o)].dtype)) continue;
      const Analytic part = backward_of(c, node, in, cotangents, {o, o + 1});
      const Doubles dx = or_zeros(part.dx[i], n);
      for (size_t e = 0; e < n; ++e) sum[e] += dx[e];
    }
    if (whole.seeded > 1)
      check_equal(c, i, or_zeros(whole.dx[i], n), sum, "summed over the outputs one by one", report);
  }
}

// The compiled program's forward values are the reference's, up to the order of summation.
void check_forward(const Case& c, const Analytic& a, const Objective& objective, Report& report) {
  const auto expected = objective.outputs();
  for (size_t o = 0; o < expected.size(); ++o) {
    const Doubles want = as_doubles(expected[o]);
    double largest = 1;
    for (const double w : want) largest = std::max(largest, std::isfinite(w) ? std::abs(w) : 0);
    for (size_t e = 0; e < want.size(); ++e) {
      if (std::abs(a.y[o][e] - want[e]) <= 1e-9 * largest || a.y[o][e] == want[e] ||
          (std::isnan(want[e]) && std::isnan(a.y[o][e])))
        continue;
      return report.fail(*c.op, c.sample->name, "",
                         fmt::format("compiled output {}[{}] is {}, the reference gives {}", o, e, a.y[o][e], want[e]));
    }
  }
}

void check_case(const Case& c, const NodeSpec& node, Report& report) {
  const auto in = inputs_for(node, filled(c));
  const auto cotangents = random_cotangents(c, node);
  const Analytic analytic = backward_through_as_many(c, node, in, cotangents, report);
  Objective objective(node, in, cotangents, analytic.seeded);
  check_forward(c, analytic, objective, report);
  check_parts(c, node, in, cotangents, analytic, report);
  double work = cost_of(node).flops + 1;
  for (const auto& s : node.in) work += static_cast<double>(s.shape.numel());
  const int coordinates = static_cast<int>(std::clamp(kElementBudget / (4 * work), 3.0, double{kMostCoordinates}));
  for (size_t i = 0; i < in.size(); ++i) {
    if (!wants_gradient(c, node, i)) continue;
    const Doubles dx = or_zeros(analytic.dx[i], static_cast<size_t>(in[i].numel()));
    InputCheck(c, i, dx, objective, report).run(coordinates);
  }
}

}  // namespace

int64_t check_grad(const Suite& suite, const Options& options) {
  Report report("grad", options);
  const Threads one(1);  // many runs of small operands
  std::set<const OpDef*> checked;
  for (const Case& c : suite.cases()) {
    if (c.op->grad == nullptr || !c.sample->grad) continue;
    report.at(*c.op, c.sample->name);
    try {
      const NodeSpec node = required_wide_node_of(c);
      bool any = false;
      for (size_t i = 0; i < node.in.size(); ++i) any |= wants_gradient(c, node, i);
      if (!any) continue;
      check_case(c, node, report);
      checked.insert(c.op);
      report.checked(*c.op, reference_of(*c.op).name);
    } catch (const std::exception& error) { report.fail(*c.op, c.sample->name, "", error.what()); }
  }
  for (const Operator& entry : suite.operators())
    if (options.sample.empty() && entry.op->grad != nullptr && !checked.contains(entry.op))
      report.fail(*entry.op, "", "", "no sample checks the gradient");
  report.summary();
  return report.failures();
}

}  // namespace winnow::optest
