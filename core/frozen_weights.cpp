#include "core/frozen_weights.h"

#include <set>

#include "core/passes.h"
#include "core/program.h"

namespace winnow {
namespace {

size_t at(int32_t id) { return static_cast<size_t>(id); }

std::vector<Tensor> pack(const FrozenWeights::Packed& form) {
  return run_eager(form.op, std::span(&form.from->value, 1), form.attrs);
}

int32_t add_constant(Ir& ir, const Tensor& tensor) {
  ValueInfo constant;
  constant.kind = ValueInfo::Constant;
  constant.spec = tensor.spec();
  constant.constant = tensor;
  ir.values.push_back(std::move(constant));
  return static_cast<int32_t>(ir.values.size()) - 1;
}

}  // namespace

void FrozenWeights::refresh() {
  for (auto& [key, one] : packed) {
    const auto again = pack(one);
    for (size_t i = 0; i < again.size(); ++i) one.tensors[i].copy_from(again[i]);
  }
}

void pack_weights(Ir& ir, FrozenWeights& frozen) {
  std::set<int32_t> written;
  for (const Node& node : ir.nodes)
    for (const int i : mutated_inputs(*node.op, node.attrs)) written.insert(node.inputs[static_cast<size_t>(i)]);
  std::map<int32_t, const Node*> producers;
  for (const Node& node : ir.nodes)
    for (const int32_t out : node.outputs) producers[out] = &node;
  for (Node& node : ir.nodes) {
    if (node.op->pack == nullptr) continue;
    const auto producer = producers.find(node.inputs[0]);
    const auto wanted =
        node.op->pack(spec_of(ir, node), frozen.form, producer == producers.end() ? nullptr : producer->second);
    if (!wanted) continue;
    const ValueInfo& weight = ir.values[at(node.inputs[static_cast<size_t>(wanted->input)])];
    if (weight.kind != ValueInfo::Persistent || written.contains(node.inputs[static_cast<size_t>(wanted->input)]))
      continue;
    auto& form = frozen.packed[{weight.variable.get(), fmt::format("{}({})", wanted->op, wanted->attrs.str())}];
    if (form.tensors.empty()) {
      form = {{}, weight.variable, wanted->op, wanted->attrs};
      form.tensors = pack(form);
    }
    if (wanted->node_op != nullptr) node.op = &registry().at(wanted->node_op);
    node.attrs = wanted->node;
    auto place = node.inputs.erase(node.inputs.begin() + wanted->input);
    for (const Tensor& tensor : form.tensors) place = node.inputs.insert(place, add_constant(ir, tensor)) + 1;
  }
}

}  // namespace winnow
