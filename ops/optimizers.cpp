#include "ops/optimizers.h"

#include "ops/detail/dense_rules.h"
#include "ops/detail/dense_samples.h"
#include "ops/detail/dense_update.h"

namespace winnow {
namespace {

using dense::states_of_sgd;

template <template <class> class Rule>
void run_blocks(const Call& c) {
  update_dense<Rule<float>, float, float>(c, 4);
}
template <template <class> class Rule>
void run_reference(const Call& c) {
  visit_float(c.in_spec(0).dtype, c.spec->op->name,
              [&]<class T>() { update_dense<Rule<double>, T, double>(c, int64_t{1} << 62); });
}

Cost cost(const NodeSpec& n) {
  Cost c;
  const auto tensors = static_cast<size_t>(n.attrs.integer("tensors"));
  for (size_t i = 0; i < n.in.size(); ++i) {  // gradients are read, the rest is read and written
    c.bytes += static_cast<double>(n.in[i].bytes()) * (i >= tensors && i < 2 * tensors ? 1 : 2);
    c.flops += static_cast<double>(n.in[i].shape.numel()) * 4;
  }
  return c;
}

OpDef base(const char* name, const char* doc) {
  OpDef op;
  op.name = name;
  op.doc = doc;
  op.no_grad = "updates variables in place";
  op.cost = cost;
  op.tolerance = {.ulp = 16, .sum = 4};
  return op;
}

template <template <class> class Rule>
OpDef define(const char* name, const char* doc, void (*samples)(Samples&)) {
  OpDef op = base(name, doc);
  op.samples = samples;
  op.infer = [](Infer& in) { infer_dense(in, Rule<float>::kStates); };
  op.mutates_of = [](const Attrs& a) { return mutated_dense(a, Rule<float>::kStates); };
  const auto prepare = [](const NodeSpec& n, Prepare& p) { p.state<DensePlan>(n, int{Rule<float>::kStates}); };
  op.kernels = {{.name = "blocks", .reject = dense_single_only, .prepare = prepare, .run = run_blocks<Rule>},
                {.name = "reference", .prepare = prepare, .run = run_reference<Rule>}};
  return op;
}

OpDef define_sgd() {
  OpDef op = base("sgd", "p -= lr * g, with momentum buf = momentum * buf + g, p -= lr * buf");
  op.samples = [](Samples& s) {
    add_dense_samples(s, 0, {}, {{"weight_decay", 0.1}, {"l1", 0.01}});
    const Attrs momentum{{"momentum", 0.9}, {"tensors", int64_t{2}}},
        nesterov{{"momentum", 0.9}, {"nesterov", int64_t{1}}, {"weight_decay", 0.1}, {"tensors", int64_t{2}}};
    s.add({"momentum", dense_case({{5, 3}, {17}}, 1, 3, 0.5), momentum});
    s.add({"more tensors than one launch takes",
           dense_case(std::vector<Shape>(70, Shape{3}), 0, 3, 1),
           {{"tensors", int64_t{70}}}});
    s.add({"nesterov", dense_case({{5, 3}, {17}}, 1, 3, 1), nesterov});
    s.add({.name = "nesterov without momentum",
           .in = dense_case({{5}}, 0, 3, 1),
           .attrs = {{"nesterov", int64_t{1}}, {"tensors", int64_t{1}}},
           .throws = "nesterov needs momentum"});
  };
  op.infer = [](Infer& in) {
    in.check(!in.attrs().flag("nesterov") || states_of_sgd(in.attrs()) == 1, "nesterov needs momentum > 0");
    infer_dense(in, states_of_sgd(in.attrs()));
  };
  op.mutates_of = [](const Attrs& a) { return mutated_dense(a, states_of_sgd(a)); };
  const auto prepare = [](const NodeSpec& n, Prepare& p) { p.state<DensePlan>(n, states_of_sgd(n.attrs)); };
  const auto run = [](const Call& c) {
    return c.state<DensePlan>().states == 0 ? run_blocks<dense::Sgd>(c) : run_blocks<dense::Momentum>(c);
  };
  const auto reference = [](const Call& c) {
    return c.state<DensePlan>().states == 0 ? run_reference<dense::Sgd>(c) : run_reference<dense::Momentum>(c);
  };
  op.kernels = {{.name = "blocks", .reject = dense_single_only, .prepare = prepare, .run = run},
                {.name = "reference", .prepare = prepare, .run = reference}};
  return op;
}

void record(const char* op, const DenseGroup& group, const StepScalars& step, Attrs attrs, Loc loc) {
  WN_CHECK(!group.params.empty() && group.grads.size() == group.params.size(), Error,
           "{}(): {} parameters and {} gradients; there must be as many of each, and at least one ({})", op,
           group.params.size(), group.grads.size(), at_source(loc));
  std::vector<Value> in = group.params;
  in.insert(in.end(), group.grads.begin(), group.grads.end());
  for (const auto& state : group.state) in.insert(in.end(), state.begin(), state.end());
  Graph& graph = *in[0].graph;
  in.push_back(step.lr);
  in.push_back(step.step);
  in.push_back(step.scale ? step.scale : graph.scalar(1));
  attrs.set("tensors", static_cast<int64_t>(group.params.size()));
  graph.apply_all(op, in, std::move(attrs), loc);
}

Attrs adam_attrs(const AdamOptions& o) {
  return {{"beta1", o.beta1}, {"beta2", o.beta2}, {"eps", o.eps}, {"weight_decay", o.weight_decay}};
}

}  // namespace

std::vector<StateSpec> dense_state(const std::string& op, const TensorSpec& p, const Attrs& attrs) {
  if (op == "sgd")
    return states_of_sgd(attrs) == 1 ? std::vector<StateSpec>{{"momentum", p}} : std::vector<StateSpec>{};
  if (op == "adam" || op == "adamw" || op == "lamb") return {{"m", p}, {"v", p}};
  if (op == "rmsprop") return {{"square", p}};
  if (op == "adagrad") return {{"sum", p}};
  if (op == "ftrl") return {{"z", p}, {"n", p}};
  raise<Error>("there is no optimizer '{}'", op);
}

void sgd(const DenseGroup& group, const StepScalars& step, const SgdOptions& o, Loc loc) {
  Attrs a{{"momentum", o.momentum}, {"weight_decay", o.weight_decay}, {"l1", o.l1}};
  if (o.nesterov) a.set("nesterov", int64_t{1});
  record("sgd", group, step, a, loc);
}
void adam(const DenseGroup& group, const StepScalars& step, const AdamOptions& o, double l1, Loc loc) {
  record("adam", group, step, adam_attrs(o).set("l1", l1), loc);
}
void adamw(const DenseGroup& group, const StepScalars& step, const AdamOptions& o, Loc loc) {
  record("adamw", group, step, adam_attrs(o), loc);
}
void rmsprop(const DenseGroup& group, const StepScalars& step, const RmspropOptions& o, Loc loc) {
  record("rmsprop", group, step, {{"alpha", o.alpha}, {"eps", o.eps}, {"weight_decay", o.weight_decay}, {"l1", o.l1}},
         loc);
}
void adagrad(const DenseGroup& group, const StepScalars& step, const AdagradOptions& o, Loc loc) {
  record("adagrad", group, step,
         {{"eps", o.eps}, {"lr_decay", o.lr_decay}, {"weight_decay", o.weight_decay}, {"l1", o.l1}}, loc);
}
void lamb(const DenseGroup& group, const StepScalars& step, const AdamOptions& o, Loc loc) {
  record("lamb", group, step, adam_attrs(o), loc);
}
void ftrl(const DenseGroup& group, const StepScalars& step, const FtrlOptions& o, Loc loc) {
  record("ftrl", group, step, {{"beta", o.beta}, {"l1", o.l1}, {"l2", o.l2}}, loc);
}

void accumulate(const DenseGroup& group, const StepScalars& step, Loc loc) {
  record("accumulate", group, step, {}, loc);
}

void register_optimizers(Registry& r) {
  r.add(define_sgd());
  r.add(define<dense::Adam>(
      "adam", "m, v: moments of g = scale * grad + weight_decay * p + l1 * sign(p); p -= lr * m^ / (sqrt(v^) + eps)",
      [](Samples& s) {
        add_dense_samples(s, 2, {{"eps", 1e-8}},
                          {{"beta1", 0.8}, {"beta2", 0.99}, {"eps", 1e-8}, {"weight_decay", 0.1}, {"l1", 0.01}});
      }));
  r.add(define<dense::AdamW>("adamw", "p -= lr * weight_decay * p, then adam without weight decay", [](Samples& s) {
    add_dense_samples(s, 2, {{"eps", 1e-8}}, {{"eps", 1e-6}, {"weight_decay", 0.1}});
  }));
  r.add(define<dense::Rmsprop>(
      "rmsprop", "square = alpha * square + (1 - alpha) * g^2; p -= lr * g / (sqrt(square) + eps)", [](Samples& s) {
        add_dense_samples(s, 1, {{"eps", 1e-8}}, {{"alpha", 0.9}, {"eps", 1e-8}, {"weight_decay", 0.1}, {"l1", 0.01}});
      }));
  r.add(define<dense::Adagrad>(
      "adagrad", "sum += g^2; p -= lr / (1 + (step - 1) * lr_decay) * g / (sqrt(sum) + eps)", [](Samples& s) {
        add_dense_samples(s, 1, {{"eps", 1e-10}},
                          {{"eps", 1e-10}, {"lr_decay", 0.01}, {"weight_decay", 0.1}, {"l1", 0.01}});
      }));
  r.add(define<dense::Ftrl>("ftrl", "FTRL-Proximal with state z, n", [](Samples& s) {
    add_dense_samples(s, 2, {{"beta", 1.0}}, {{"beta", 1.0}, {"l1", 0.1}, {"l2", 0.2}});
  }));
  r.add(define<dense::Accumulate>("accumulate", "p = lr * p + scale * grad; lr 0 forgets what p held",
                                  [](Samples& s) { add_dense_samples(s, 0, {}, {}); }));
}

}  // namespace winnow
