#include "train/update/ewc.h"

#include <cmath>
#include <map>

#include "core/program.h"
#include "models/ctr_batches.h"
#include "ops/binary.h"
#include "ops/optimizers.h"
#include "ops/pointwise.h"
#include "ops/segments.h"

namespace winnow {
namespace {

VariablePtr constant_variable(const std::string& name, Tensor value) {
  auto variable = std::make_shared<Variable>();
  variable->name = name;
  variable->value = std::move(value);
  variable->trainable = false;
  return variable;
}

// The gradient of one row's logit, by parameter: whole, or the rows of a table that the row looks up.
class LogitGradients {
 public:
  LogitGradients(const CtrModel& model, const std::vector<Parameter>& parameters, const FeatureMap& map,
                 const JoinRow& join)
      : batch_(map, 1, join), stream_(make_stream()) {
    const Value step = graph_.input("step", {DType::I64, {}});
    const BatchValues values(graph_, batch_.spec());
    const Value logits = model.logits(values.ctr, {step, values.weight, false});
    graph_.output("logit", logits);
    graph_.backward({{logits, graph_.constant(Tensor::of<float>({1}, {1}))}});
    for (size_t i = 0; i < parameters.size(); ++i) {
      const Value value = graph_.persistent(parameters[i].variable);
      if (const auto& uses = graph_.row_gradients(value); !uses.empty()) {
        const RowSegments segments = row_segments(graph_, uses);
        graph_.output(fmt::format("rows{}", i), segments.unique_rows);
        graph_.output(fmt::format("sums{}", i), segment_sum(segments));
      } else if (const Value gradient = graph_.gradient(value)) {
        graph_.output(fmt::format("whole{}", i), gradient);
      }
    }
    program_ = std::make_unique<Program>(compile(graph_));
    feeds_ = {Tensor::of<int64_t>({0}, {})};
    feeds_.insert(feeds_.end(), batch_.feeds().begin(), batch_.feeds().end());
  }
  void run(const UpdateRow& row) {
    batch_.fill({&row, 1});
    program_->run(feeds_, *stream_);
  }
  bool has(const std::string& name) const { return graph_.outputs().contains(name); }
  Tensor output(const std::string& name) const { return program_->output(name); }

 private:
  Graph graph_;
  UpdateBatch batch_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Program> program_;
  std::vector<Tensor> feeds_;
};

void add_squares(double weight, const float* gradient, float* to, int64_t n) {
  for (int64_t k = 0; k < n; ++k)
    to[k] += static_cast<float>(weight * static_cast<double>(gradient[k]) * static_cast<double>(gradient[k]));
}

}  // namespace

Ewc::Ewc(const std::vector<Parameter>& parameters) {
  for (const Parameter& p : parameters) {
    if (p.group == Group::Statistic) continue;
    WN_CHECK(p.value().dtype() == DType::F32, ConfigError, "ewc: '{}' is {}; it holds f32 parameters only", p.name(),
             p.value().spec().str());
    parameters_.push_back(p);
    fisher_.push_back(constant_variable("fisher/" + p.name(), Tensor::zeros(p.value().spec())));
    anchor_.push_back(constant_variable("anchor/" + p.name(), Tensor(p.value().spec())));
    anchor_.back()->value.copy_from(p.value());
  }
}

void Ewc::consolidate(const CtrModel& model, const FeatureMap& map, const JoinRow& join,
                      std::span<const UpdateRow> rows, double decay) {
  WN_CHECK(!rows.empty(), ConfigError, "ewc: there is no row to estimate the Fisher information on");
  std::vector<Tensor> fisher;
  for (const VariablePtr& v : fisher_) fisher.push_back(v->value.on({}).clone());
  for (const Tensor& t : fisher)
    for (float& x : t.span<float>()) x *= static_cast<float>(decay);
  LogitGradients gradients(model, parameters_, map, join);
  for (const UpdateRow& row : rows) {
    gradients.run(row);
    const auto z = static_cast<double>(gradients.output("logit").span<float>()[0]);
    const double p = 1 / (1 + std::exp(-z)), weight = p * (1 - p) / static_cast<double>(rows.size());
    for (size_t i = 0; i < parameters_.size(); ++i) {
      float* to = fisher[i].data<float>();
      if (const std::string whole = fmt::format("whole{}", i); gradients.has(whole)) {
        add_squares(weight, gradients.output(whole).data<float>(), to, fisher[i].numel());
      } else if (gradients.has(fmt::format("rows{}", i))) {
        const Tensor touched = gradients.output(fmt::format("rows{}", i));
        const Tensor sums = gradients.output(fmt::format("sums{}", i));
        const int64_t dim = sums.shape()[1];
        for (int64_t k = 0; k < touched.numel() && touched.data<int64_t>()[k] >= 0; ++k)
          add_squares(weight, sums.data<float>() + k * dim, to + touched.data<int64_t>()[k] * dim, dim);
      }
    }
  }
  for (size_t i = 0; i < parameters_.size(); ++i) {
    fisher_[i]->value.copy_from(fisher[i]);
    anchor_[i]->value.copy_from(parameters_[i].value());
  }
}

void Ewc::emit(Graph& graph, Value rate, Value step, Value scale_of_step, double lambda) const {
  DenseGroup group;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Value w = graph.persistent(parameters_[i].variable);
    const Value c = scale(mul(graph.persistent(fisher_[i]), rate), lambda);
    group.params.push_back(w);
    group.grads.push_back(div(mul(c, sub(w, graph.persistent(anchor_[i]))), affine(c, 1, 1)));
  }
  sgd(group, {graph.scalar(1), step, scale_of_step});
}

std::vector<VariablePtr> Ewc::state() const {
  std::vector<VariablePtr> all = fisher_;
  all.insert(all.end(), anchor_.begin(), anchor_.end());
  return all;
}

}  // namespace winnow
