#include "ops/sparse_optimizers.h"

#include "ops/detail/sparse_rules.h"
#include "ops/detail/sparse_samples.h"
#include "ops/detail/sparse_update.h"

namespace winnow {
namespace {

template <template <class> class Rule>
OpDef define(const char* name, const char* doc, void (*samples)(Samples&)) {
  OpDef op;
  op.name = name;
  op.doc = doc;
  op.infer = [](Infer& in) { infer_sparse(in, Rule<float>::kStates, Rule<float>::kRowState); };
  op.no_grad = "updates variables in place";
  op.cost = cost_sparse;
  op.samples = samples;
  op.tolerance = {.ulp = 16, .sum = 16};
  for (int i = 0; i <= Rule<float>::kStates; ++i) op.mutates.push_back(i);
  op.kernels = {
      {.name = "fused", .reject = sparse_single_only, .prepare = prepare_sparse, .run = run_sparse_fused<Rule<float>>},
      {.name = "reference", .prepare = prepare_sparse, .run = run_sparse_reference<Rule<double>>}};
  return op;
}

Attrs attrs_of(Value table, const RowOptions& o) {
  Attrs a{{"l1", o.l1}, {"l2", o.l2}, {"clip_value", o.clip_value}};
  if (o.stochastic_rounding) {
    a.set("stochastic_rounding", int64_t{1});
    a.set("seed", static_cast<int64_t>(table.graph->seed())).set("stream", table.graph->next_random_stream());
  }
  return a;
}

void record(const char* op, std::vector<Value> in, const RowSegments& s, const StepScalars& step, Attrs attrs,
            Loc loc) {
  Graph& graph = *in[0].graph;
  in.insert(in.end(), {s.unique_rows, s.starts, s.count, s.bag, s.coef, s.dy, step.lr, step.step});
  in.push_back(step.scale ? step.scale : graph.scalar(1));
  graph.apply_all(op, in, std::move(attrs), loc);
}

Attrs adam_attrs(Value table, const AdamOptions& adam, const RowOptions& options) {
  return attrs_of(table, options)
      .set("beta1", adam.beta1)
      .set("beta2", adam.beta2)
      .set("eps", adam.eps)
      .set("weight_decay", adam.weight_decay);
}

}  // namespace

std::vector<StateSpec> sparse_state(const std::string& op, const TensorSpec& table) {
  const TensorSpec full{rows::arithmetic_type(table.dtype), table.shape};
  const TensorSpec row{full.dtype, {table.shape[0]}};
  if (op == "sparse_sgd") return {};
  if (op == "sparse_adagrad") return {{"sum", full}};
  if (op == "sparse_rowwise_adagrad") return {{"sum", row}};
  if (op == "sparse_adam" || op == "sparse_adam_lazy") return {{"m", full}, {"v", full}};
  if (op == "sparse_ftrl") return {{"z", full}, {"n", full}};
  raise<Error>("there is no sparse optimizer '{}'", op);
}

void sparse_sgd(Value table, const RowSegments& rows, const StepScalars& step, const RowOptions& options, Loc loc) {
  record("sparse_sgd", {table}, rows, step, attrs_of(table, options), loc);
}
void sparse_adagrad(Value table, Value sum, const RowSegments& rows, const StepScalars& step, double eps,
                    const RowOptions& options, Loc loc) {
  record("sparse_adagrad", {table, sum}, rows, step, attrs_of(table, options).set("eps", eps), loc);
}
void sparse_rowwise_adagrad(Value table, Value sum, const RowSegments& rows, const StepScalars& step, double eps,
                            const RowOptions& options, Loc loc) {
  record("sparse_rowwise_adagrad", {table, sum}, rows, step, attrs_of(table, options).set("eps", eps), loc);
}
void sparse_adam_lazy(Value table, Value m, Value v, const RowSegments& rows, const StepScalars& step,
                      const AdamOptions& adam, const RowOptions& options, Loc loc) {
  record("sparse_adam_lazy", {table, m, v}, rows, step, adam_attrs(table, adam, options), loc);
}
void sparse_adam(Value table, Value m, Value v, const RowSegments& rows, const StepScalars& step,
                 const AdamOptions& adam, const RowOptions& options, Loc loc) {
  record("sparse_adam", {table, m, v}, rows, step, adam_attrs(table, adam, options), loc);
}
void sparse_ftrl(Value table, Value z, Value n, const RowSegments& rows, const StepScalars& step, double beta,
                 const RowOptions& options, Loc loc) {
  record("sparse_ftrl", {table, z, n}, rows, step, attrs_of(table, options).set("beta", beta), loc);
}

void register_sparse_optimizers(Registry& r) {
  r.add(define<sparse::Sgd>("sparse_sgd", "w -= lr * g on touched rows",
                            [](Samples& s) { add_sparse_samples(s, 0, false, {}); }));
  r.add(define<sparse::Adagrad>("sparse_adagrad", "sum += g^2; w -= lr * g / (sqrt(sum) + eps) on touched rows",
                                [](Samples& s) {
                                  add_sparse_samples(s, 1, false, {{"eps", 1e-10}});
                                }));
  r.add(define<sparse::RowwiseAdagrad>("sparse_rowwise_adagrad",
                                       "sum += mean g^2 of the row; w -= lr * g / (sqrt(sum) + eps)", [](Samples& s) {
                                         add_sparse_samples(s, 1, true, {{"eps", 1e-10}});
                                       }));
  r.add(define<sparse::LazyAdam>(
      "sparse_adam_lazy", "Adam on touched rows, bias correction by the global step", [](Samples& s) {
        add_sparse_samples(s, 2, false, {{"beta1", 0.9}, {"beta2", 0.999}, {"eps", 1e-8}, {"weight_decay", 0.01}});
      }));
  r.add(define<sparse::Ftrl>("sparse_ftrl", "FTRL-Proximal on touched rows; state z, n", [](Samples& s) {
    add_sparse_samples(s, 2, false, {{"beta", 1.0}, {"l1", 0.1}, {"l2", 0.2}});
  }));
}

}  // namespace winnow
