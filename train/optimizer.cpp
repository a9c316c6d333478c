#include "train/optimizer.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>

#include "nn/row_cache.h"
#include "ops/clip.h"
#include "ops/pointwise.h"
#include "ops/segments.h"
#include "ops/sparse_optimizers.h"

namespace winnow {
namespace {

void check_name(const char* key, const std::string& name, std::initializer_list<const char*> known) {
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  raise<ConfigError>("{}: there is no optimizer '{}' (known: {})", key, name, fmt::join(known, ", "));
}

struct DenseUpdates {
  std::vector<const Parameter*> parameters;
  std::vector<Value> gradients;
};

}  // namespace

struct Optimizer::Table {
  const Parameter* parameter;
  RowSegments rows;
};

Optimizer::Optimizer(OptimizerOptions options) : options_(std::move(options)) {
  check_name("optimizer", options_.name, {"sgd", "adam", "adamw", "rmsprop", "adagrad", "lamb", "ftrl"});
  check_name("embedding_optimizer", options_.embedding,
             {"sgd", "adagrad", "rowwise_adagrad", "adam", "adam_lazy", "ftrl"});
  WN_CHECK(options_.embedding_regularizer == 0 || options_.embedding == "adam", ConfigError,
           "embedding_regularizer moves every row at every step and needs embedding_optimizer adam, not {}; use "
           "embedding_row_regularizer for touched rows",
           options_.embedding);
  WN_CHECK(
      options_.embedding != "adam" || options_.embedding_row_regularizer == 0, ConfigError,
      "embedding_row_regularizer: embedding_optimizer adam moves every row; use embedding_regularizer, or adam_lazy");
  WN_CHECK(options_.weight_decay == 0 || options_.name == "adamw" || options_.name == "lamb", ConfigError,
           "weight_decay is decoupled and belongs to adamw and lamb; for {} use net_regularizer", options_.name);
  WN_CHECK(options_.momentum == 0 || options_.name == "sgd", ConfigError, "momentum belongs to sgd, not to {}",
           options_.name);
  WN_CHECK(!options_.nesterov || options_.momentum > 0, ConfigError, "nesterov needs momentum > 0");
  WN_CHECK(options_.net_l1 == 0 || (options_.name != "adamw" && options_.name != "lamb"), ConfigError,
           "net_l1 is not defined for {}; use adam, sgd, adagrad, rmsprop or ftrl", options_.name);
  WN_CHECK(options_.net_regularizer == 0 || (options_.name != "adamw" && options_.name != "lamb"), ConfigError,
           "net_regularizer: {} has decoupled decay; use weight_decay", options_.name);
}

void Optimizer::check_cached(const OptimizerOptions& options) {
  WN_CHECK(
      options.embedding != "adam", ConfigError,
      "embedding_optimizer adam moves every row of a table at every step, also those that model.embedding_cache_rows "
      "leaves in host memory: use adam_lazy, adagrad, rowwise_adagrad, ftrl or sgd, or leave the cache out");
}

Value Optimizer::state_value(Graph& graph, const Parameter& p, const StateSpec& spec) {
  const std::string name = fmt::format("{}.{}", p.name(), spec.name);
  const auto known = std::ranges::find(state_, name, [](const VariablePtr& v) { return v->name; });
  const auto recorded = [&](const VariablePtr& v) { return p.cache != nullptr ? p.cache->resident(v) : v; };
  if (known != state_.end()) return graph.persistent(recorded(*known));
  auto variable = std::make_shared<Variable>();
  variable->name = name;
  variable->trainable = false;
  variable->value = Tensor::zeros(spec.spec);
  const bool accumulator = options_.initial_accumulator != 0 && spec.name == "sum";
  const double initial = accumulator ? options_.initial_accumulator : spec.initial;
  if (initial != 0) std::ranges::fill(variable->value.span<float>(), static_cast<float>(initial));
  state_.push_back(variable);
  return graph.persistent(recorded(variable));
}

void Optimizer::update_dense(Graph& graph, const std::vector<const Parameter*>& params, const std::vector<Value>& grads,
                             bool regularized, const StepScalars& step) {
  if (params.empty()) return;
  const OptimizerOptions& o = options_;
  const double l2 = regularized ? o.net_regularizer : 0, l1 = regularized ? o.net_l1 : 0;
  DenseGroup group;
  const Attrs attrs{{"momentum", o.momentum}};
  for (size_t i = 0; i < params.size(); ++i) {
    group.params.push_back(graph.persistent(params[i]->variable));
    group.grads.push_back(grads[i]);
    const auto specs = dense_state(o.name, params[i]->value().spec(), attrs);
    group.state.resize(specs.size());
    for (size_t k = 0; k < specs.size(); ++k) group.state[k].push_back(state_value(graph, *params[i], specs[k]));
  }
  const auto eps = [&](double fallback) { return o.eps > 0 ? o.eps : fallback; };
  const AdamOptions adam_options{o.beta1, o.beta2, eps(1e-8), l2};
  if (o.name == "sgd") sgd(group, step, {o.momentum, o.nesterov, l2, l1});
  if (o.name == "adam") adam(group, step, adam_options, l1);
  if (o.name == "adamw" || o.name == "lamb") {
    const AdamOptions decoupled{o.beta1, o.beta2, eps(o.name == "lamb" ? 1e-6 : 1e-8),
                                params[0]->group == Group::Weight ? o.weight_decay : 0};
    o.name == "adamw" ? adamw(group, step, decoupled) : lamb(group, step, decoupled);
  }
  if (o.name == "rmsprop") rmsprop(group, step, {0.99, eps(1e-8), l2, l1});
  if (o.name == "adagrad") adagrad(group, step, {eps(1e-10), 0, l2, l1});
  if (o.name == "ftrl") ftrl(group, step, {1, l1, l2});
}

void Optimizer::update_table(Graph& graph, const Table& t, const StepScalars& step) {
  const OptimizerOptions& o = options_;
  const Value table = graph.persistent(t.parameter->recorded());
  std::vector<Value> state;
  for (const StateSpec& spec : sparse_state("sparse_" + o.embedding, t.parameter->value().spec()))
    state.push_back(state_value(graph, *t.parameter, spec));
  RowOptions row;
  row.l1 = o.embedding_l1;
  row.l2 = o.embedding == "adam" ? o.embedding_regularizer : o.embedding_row_regularizer;
  row.clip_value = o.clip_value;
  const auto eps = [&](double fallback) { return o.eps > 0 ? o.eps : fallback; };
  const AdamOptions adam_options{o.beta1, o.beta2, eps(1e-8), 0};
  if (o.embedding == "sgd") sparse_sgd(table, t.rows, step, row);
  if (o.embedding == "adagrad") sparse_adagrad(table, state.at(0), t.rows, step, eps(1e-10), row);
  if (o.embedding == "rowwise_adagrad") sparse_rowwise_adagrad(table, state.at(0), t.rows, step, eps(1e-10), row);
  if (o.embedding == "adam") sparse_adam(table, state.at(0), state.at(1), t.rows, step, adam_options, row);
  if (o.embedding == "adam_lazy") sparse_adam_lazy(table, state.at(0), state.at(1), t.rows, step, adam_options, row);
  if (o.embedding == "ftrl") sparse_ftrl(table, state.at(0), state.at(1), t.rows, step, 1, row);
}

void Optimizer::emit(Graph& graph, const std::vector<Parameter>& parameters, Value learning_rate, Value step,
                     double base_learning_rate, const GradientBuffers* gathered) {
  const OptimizerOptions& o = options_;
  std::map<double, std::array<DenseUpdates, 2>> dense;  // by factor of the rate: weights, others
  std::vector<Value> all_grads, squares;
  std::vector<Table> tables;
  for (const Parameter& p : parameters) {
    if (p.group == Group::Statistic) continue;
    if (p.cache != nullptr) check_cached(o);
    const Value value = graph.persistent(p.recorded());
    const Value gradient = gathered != nullptr ? gathered->gradient(graph, p) : graph.gradient(value);
    const auto& uses = graph.row_gradients(value);
    WN_CHECK(!gradient || uses.empty(), Error,
             "'{}' is read as table rows and as a whole; its gradient would need both forms", p.name());
    if (!uses.empty()) {
      tables.push_back({&p, p.cache != nullptr ? p.cache->segments(graph, uses) : row_segments(graph, uses)});
      if (o.clip_norm > 0) squares.push_back(segment_sqnorm(tables.back().rows));
    } else if (gradient) {
      const Value g = o.clip_value > 0 ? clamp(gradient, -o.clip_value, o.clip_value) : gradient;
      DenseUpdates& updates = dense[o.rate_factor ? o.rate_factor(p.name()) : 1][p.group == Group::Weight ? 0 : 1];
      updates.parameters.push_back(&p);
      updates.gradients.push_back(g);
      all_grads.push_back(gradient);
    }
  }
  WN_CHECK(!tables.empty() || !all_grads.empty(), Error, "the loss depends on no trainable parameter");
  if (all_grads.empty() && squares.empty())
    for (const Table& t : tables) squares.push_back(segment_sqnorm(t.rows));
  const Value norm = global_norm(all_grads, squares);
  graph.output("gradient_norm", norm);
  StepScalars scalars{learning_rate, step,
                      clip_scale(norm, o.clip_norm > 0 ? o.clip_norm : std::numeric_limits<double>::infinity())};
  for (const auto& [factor, updates] : dense) {
    StepScalars own = scalars;
    if (factor != 1) own.lr = affine(learning_rate, factor, 0);
    for (const bool weights : {true, false}) {
      const DenseUpdates& u = updates[weights ? 0 : 1];
      update_dense(graph, u.parameters, u.gradients, weights, own);
    }
  }
  if (o.embedding_learning_rate > 0 && o.embedding_learning_rate != base_learning_rate)
    scalars.lr = affine(learning_rate, o.embedding_learning_rate / base_learning_rate, 0);
  for (const Table& t : tables) update_table(graph, t, scalars);
}

}  // namespace winnow
