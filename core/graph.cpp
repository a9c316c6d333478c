#include "core/graph.h"

#include <algorithm>

namespace winnow {

const TensorSpec& Value::spec() const {
  WN_CHECK(graph != nullptr, Error, "an empty value was used");
  return graph->info(*this).spec;
}

Value Graph::add_value(ValueInfo info) {
  values_.push_back(std::move(info));
  return {this, static_cast<int32_t>(values_.size() - 1)};
}

Value Graph::input(const std::string& name, const TensorSpec& spec) {
  for (const int32_t id : inputs_)
    WN_CHECK(values_[static_cast<size_t>(id)].name != name, Error, "graph input '{}' is declared twice", name);
  ValueInfo info;
  info.kind = ValueInfo::Input;
  info.spec = spec;
  info.name = name;
  const Value v = add_value(std::move(info));
  inputs_.push_back(v.id);
  return v;
}

std::vector<Value> Graph::stage(std::shared_ptr<HostStage> stage, const std::vector<Value>& from,
                                const std::vector<TensorSpec>& specs) {
  Staged staged{std::move(stage), {}, {}};
  for (const Value v : from) {
    const bool fed = v.graph == this && std::ranges::find(inputs_, v.id) != inputs_.end();
    WN_CHECK(fed, Error, "a value that the host prepares a run from must be an input of the graph, which callers feed");
    staged.from.push_back(v.id);
  }
  std::vector<Value> values;
  for (const TensorSpec& spec : specs) {
    ValueInfo info;
    info.kind = ValueInfo::Input;
    info.spec = spec;
    info.name = fmt::format("staged {}.{}", staged_.size(), values.size());
    values.push_back(add_value(std::move(info)));
    staged.to.push_back(values.back().id);
  }
  staged_.push_back(std::move(staged));
  return values;
}

Value Graph::persistent(const VariablePtr& variable) {
  WN_CHECK(variable != nullptr && variable->value.defined(), Error,
           "a persistent value needs a variable with a tensor");
  const auto [at, fresh] = persistent_.try_emplace(variable.get(), -1);
  if (fresh) {
    ValueInfo info;
    info.kind = ValueInfo::Persistent;
    info.spec = variable->value.spec();
    info.name = variable->name;
    info.variable = variable;
    info.requires_grad = variable->trainable && is_float(variable->value.dtype());
    at->second = add_value(std::move(info)).id;
  }
  return {this, at->second};
}

Value Graph::constant(Tensor tensor) {
  ValueInfo info;
  info.kind = ValueInfo::Constant;
  info.spec = tensor.spec();
  info.constant = std::move(tensor);
  return add_value(std::move(info));
}

Value Graph::scalar(double x, DType dtype) { return constant(Tensor::of<double>({x}, {}).to(dtype)); }

std::vector<Value> Graph::apply_all(const std::string& op_name, const std::vector<Value>& in, Attrs attrs, Loc loc) {
  const OpDef& op = registry().at(op_name);
  Node node{&op, std::move(attrs), {}, {}, loc};
  std::vector<TensorSpec> specs;
  bool requires_grad = false;
  for (size_t i = 0; i < in.size(); ++i) {
    WN_CHECK(in[i].graph == this && in[i].id >= 0 && in[i].id < static_cast<int32_t>(values_.size()), Error,
             "{}(): input {} does not belong to this graph ({})", op.name, i, at_source(loc));
    node.inputs.push_back(in[i].id);
    specs.push_back(in[i].spec());
    requires_grad |= info(in[i]).requires_grad;
  }
  std::vector<TensorSpec> out_specs = infer_outputs(op, node.attrs, specs, loc);
  for (const int i : mutated_inputs(op, node.attrs))
    WN_CHECK(i < static_cast<int>(in.size()) && info(in[static_cast<size_t>(i)]).kind != ValueInfo::Constant, Error,
             "{}(): input {} would be written in place and must not be a constant ({})", op.name, i, at_source(loc));
  std::vector<Value> out;
  for (TensorSpec& spec : out_specs) {
    ValueInfo v;
    v.requires_grad = requires_grad && is_float(spec.dtype);
    v.spec = spec;
    v.node = static_cast<int32_t>(nodes_.size());
    out.push_back(add_value(std::move(v)));
    node.outputs.push_back(out.back().id);
  }
  nodes_.push_back(std::move(node));
  return out;
}

Value Graph::apply(const std::string& op, std::initializer_list<Value> in, Attrs attrs, Loc loc) {
  const auto out = apply_all(op, in, std::move(attrs), loc);
  return out.empty() ? Value{} : out[0];
}

void Graph::require_grad(Value value) {
  WN_CHECK(value.graph == this, Error, "require_grad: the value belongs to another graph");
  WN_CHECK(info(value).kind != ValueInfo::Computed, Error,
           "require_grad: mark inputs and persistent values before they are used");
  values_[static_cast<size_t>(value.id)].requires_grad = true;
}

void Graph::output(const std::string& name, Value value) {
  WN_CHECK(value.graph == this, Error, "output '{}' does not belong to this graph", name);
  outputs_[name] = value.id;
}

Value Graph::gradient(Value of) const {
  const auto at = gradients_.find(of.id);
  return at == gradients_.end() ? Value{} : Value{of.graph, at->second};
}

const std::vector<RowGradient>& Graph::row_gradients(Value table) const {
  static const std::vector<RowGradient> kNone;
  const auto at = row_gradients_.find(table.id);
  return at == row_gradients_.end() ? kNone : at->second;
}

void Graph::accumulate(int32_t value, Value gradient) {
  const auto& target = values_[static_cast<size_t>(value)];
  WN_CHECK(gradient.spec() == target.spec, ShapeError, "gradient of value %{} is {}, the value is {}", value,
           gradient.spec().str(), target.spec.str());
  const auto [at, fresh] = gradients_.try_emplace(value, gradient.id);
  if (!fresh) at->second = apply("add", {Value{this, at->second}, gradient}).id;
}

void Graph::backward(Value loss, Loc loc) {
  WN_CHECK(loss.graph == this && loss.shape().numel() == 1, ShapeError,
           "backward(): the loss must have one element, it is {} ({})", loss.shape().str(), at_source(loc));
  Tensor one(loss.spec());
  visit_float(loss.dtype(), "backward()", [&]<class T>() { *one.data<T>() = T{1}; });
  backward({{loss, constant(one)}}, loc);
}

void Graph::backward(const std::vector<std::pair<Value, Value>>& seeds, Loc loc) {
  gradients_.clear();
  row_gradients_.clear();
  for (const auto& [value, gradient] : seeds) {
    WN_CHECK(info(value).requires_grad, Error,
             "backward(): the value does not depend on anything that requires a gradient ({})", at_source(loc));
    accumulate(value.id, gradient);
  }
  for (auto i = static_cast<int32_t>(nodes_.size()) - 1; i >= 0; --i) {
    const Node node = nodes_[static_cast<size_t>(i)];  // a copy: recording gradients grows nodes_
    bool reached = false, wanted = false;
    for (const int32_t out : node.outputs)
      reached |= values_[static_cast<size_t>(out)].requires_grad && gradients_.contains(out);
    for (const int32_t in : node.inputs) wanted |= values_[static_cast<size_t>(in)].requires_grad;
    if (!reached || !wanted) continue;
    WN_CHECK(node.op->grad != nullptr, Error, "{}(): has no gradient: {} ({})", node.op->name, node.op->no_grad,
             at_source(node.loc));
    Grad grad(*this, i);
    node.op->grad(grad);
  }
}

std::string Graph::dump() const {
  std::string text;
  for (const Node& n : nodes_) {
    std::string in, out;
    for (const int32_t id : n.inputs) {
      const auto& v = values_[static_cast<size_t>(id)];
      in += (in.empty() ? "" : ", ") + (v.name.empty() ? fmt::format("%{}", id) : v.name);
    }
    for (const int32_t id : n.outputs)
      out += fmt::format("{}%{} {}", out.empty() ? "" : ", ", id, values_[static_cast<size_t>(id)].spec.str());
    text += fmt::format("{} = {}({}) {{{}}}  # {}\n", out.empty() ? "-" : out, n.op->name, in, n.attrs.str(),
                        at_source(n.loc));
  }
  return text;
}

const Attrs& Grad::attrs() const { return graph_.nodes_[static_cast<size_t>(node_)].attrs; }
int Grad::inputs() const { return static_cast<int>(graph_.nodes_[static_cast<size_t>(node_)].inputs.size()); }
Loc Grad::loc() const { return graph_.nodes_[static_cast<size_t>(node_)].loc; }
Value Grad::x(int i) const {
  return {&graph_, graph_.nodes_[static_cast<size_t>(node_)].inputs.at(static_cast<size_t>(i))};
}
Value Grad::y(int i) const {
  return {&graph_, graph_.nodes_[static_cast<size_t>(node_)].outputs.at(static_cast<size_t>(i))};
}
Value Grad::dy(int i) const { return graph_.gradient(y(i)); }
bool Grad::needs(int i) const { return graph_.info(x(i)).requires_grad; }
void Grad::dx(int i, Value gradient) {
  if (needs(i)) graph_.accumulate(x(i).id, gradient);
}
bool Grad::row_sparse(int i) const {
  const auto& v = graph_.info(x(i));
  return v.kind == ValueInfo::Persistent && v.variable->row_sparse;
}
void Grad::rows(int i, RowGradient gradient) {
  if (needs(i)) graph_.row_gradients_[x(i).id].push_back(std::move(gradient));
}

}  // namespace winnow
