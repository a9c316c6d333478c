#include <algorithm>

#include "core/passes.h"

namespace winnow {
namespace {

bool is_cast(const Node& node) { return std::string_view(node.op->name) == "cast"; }

struct Rounding {
  Ir& ir;
  const DeviceInfo& device;
  std::vector<std::vector<size_t>> readers;  // nodes, per value
  std::vector<bool> gone;

  Rounding(Ir& program, const DeviceInfo& where)
      : ir(program), device(where), readers(ir.values.size()), gone(ir.nodes.size()) {
    for (size_t at = 0; at < ir.nodes.size(); ++at)
      for (const int32_t in : ir.nodes[at].inputs) readers[static_cast<size_t>(in)].push_back(at);
  }
  ValueInfo& value(int32_t id) { return ir.values[static_cast<size_t>(id)]; }
  bool becomes_bf16(const Node& node) {
    return is_cast(node) && value(node.outputs[0]).spec.dtype == DType::BF16 && !is_output(node.outputs[0]);
  }
  bool is_output(int32_t id) {
    return std::ranges::any_of(ir.outputs, [&](const auto& output) { return output.second == id; });
  }

  // Whether the node gives `out` when it is run so.
  bool can_run(const Node& node, NodeSpec spec, const std::vector<TensorSpec>& out) {
    try {
      spec.out = infer_outputs(*node.op, spec.attrs, spec.in, node.loc);
    } catch (const Error&) { return false; }
    return spec.out == out && has_kernel(spec, device);
  }
  // Whether the node gives the same when it reads `id` in bf16.
  bool may_read(const Node& node, int32_t id) {
    NodeSpec spec = spec_of(ir, node);
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (node.inputs[i] == id) spec.in[i].dtype = DType::BF16;
    return can_run(node, spec, spec.out);
  }
  bool may_write(const Node& node, size_t output, int64_t bits) {
    NodeSpec spec = spec_of(ir, node);
    spec.attrs.set("bf16_out", bits);
    std::vector<TensorSpec> out = spec.out;
    out[output].dtype = DType::BF16;
    return can_run(node, std::move(spec), out);
  }

  void round(Node& node, size_t output) {
    const int32_t id = node.outputs[output];
    if (value(id).spec.dtype != DType::F32 || is_output(id)) return;
    const std::vector<size_t> reading = readers[static_cast<size_t>(id)];
    const int64_t bits = node.attrs.integer("bf16_out", 0) | int64_t{1} << output;
    const auto takes_bf16 = [&](size_t at) { return becomes_bf16(ir.nodes[at]) || may_read(ir.nodes[at], id); };
    if (reading.empty() || !may_write(node, output, bits) || !std::ranges::all_of(reading, takes_bf16)) return;
    node.attrs.set("bf16_out", bits);
    value(id).spec.dtype = DType::BF16;
    for (const size_t at : reading)
      if (becomes_bf16(ir.nodes[at])) replace(at, id);
  }
  // What reads the cast reads its operand instead.
  void replace(size_t cast, int32_t by) {
    const int32_t rounded = ir.nodes[cast].outputs[0];
    for (const size_t at : readers[static_cast<size_t>(rounded)]) {
      std::ranges::replace(ir.nodes[at].inputs, rounded, by);
      readers[static_cast<size_t>(by)].push_back(at);
    }
    gone[cast] = true;
  }
};

}  // namespace

void store_rounded(Ir& ir, const DeviceInfo& device) {
  Rounding rounding(ir, device);
  for (size_t at = 0; at < ir.nodes.size(); ++at)
    for (size_t output = 0; output < ir.nodes[at].outputs.size(); ++output) rounding.round(ir.nodes[at], output);
  std::vector<Node> kept;
  for (size_t at = 0; at < ir.nodes.size(); ++at)
    if (!rounding.gone[at]) kept.push_back(std::move(ir.nodes[at]));
  ir.nodes = std::move(kept);
}

}  // namespace winnow
