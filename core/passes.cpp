#include "core/passes.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <unordered_map>

namespace winnow {
namespace {

size_t index(int32_t id) { return static_cast<size_t>(id); }

bool mutates(const Node& node, int32_t value) {
  const auto written = mutated_inputs(*node.op, node.attrs);
  return std::any_of(written.begin(), written.end(),
                     [&](int i) { return node.inputs[static_cast<size_t>(i)] == value; });
}

bool same_constant(const ValueInfo& a, const ValueInfo& b) {
  return a.spec == b.spec && std::memcmp(a.constant.raw(), b.constant.raw(), a.spec.bytes()) == 0;
}

// Small equal constants become one value, so that nodes reading them can be merged.
void merge_constants(Ir& ir) {
  constexpr size_t kSmall = 64;
  std::vector<int32_t> seen, to(ir.values.size());
  for (size_t id = 0; id < ir.values.size(); ++id) {
    to[id] = static_cast<int32_t>(id);
    const auto& v = ir.values[id];
    if (v.kind != ValueInfo::Constant || v.spec.bytes() > kSmall) continue;
    const auto at =
        std::find_if(seen.begin(), seen.end(), [&](int32_t s) { return same_constant(ir.values[index(s)], v); });
    if (at == seen.end())
      seen.push_back(static_cast<int32_t>(id));
    else
      to[id] = *at;
  }
  for (Node& node : ir.nodes)
    for (int32_t& in : node.inputs) in = to[index(in)];
  for (auto& [name, id] : ir.outputs) id = to[index(id)];
}

// Whether `node`, recorded at `from`, may run at `to` instead: nothing between writes what it reads.
bool can_move_later(const Ir& ir, size_t from, size_t to) {
  for (size_t i = from + 1; i < to; ++i)
    for (const int32_t in : ir.nodes[from].inputs)
      if (mutates(ir.nodes[i], in)) return false;
  return true;
}

}  // namespace

Ir::Ir(const Graph& graph)
    : nodes(graph.nodes().begin(), graph.nodes().end()), values(graph.values()), outputs(graph.outputs()) {}

NodeSpec spec_of(const Ir& ir, const Node& node) {
  NodeSpec spec;
  spec.op = node.op;
  spec.attrs = node.attrs;
  for (const int32_t id : node.inputs) spec.in.push_back(ir.values[index(id)].spec);
  for (const int32_t id : node.outputs) spec.out.push_back(ir.values[index(id)].spec);
  return spec;
}

std::vector<int> count_readers(const Ir& ir) {
  std::vector<int> readers(ir.values.size());
  for (const Node& node : ir.nodes)
    for (const int32_t in : node.inputs) ++readers[index(in)];
  for (const auto& [name, id] : ir.outputs) ++readers[index(id)];
  return readers;
}

void remove_dead_nodes(Ir& ir) {
  std::vector<bool> live(ir.values.size());
  for (const auto& [name, id] : ir.outputs) live[index(id)] = true;
  std::vector<Node> kept;
  for (auto node = ir.nodes.rbegin(); node != ir.nodes.rend(); ++node) {
    const bool needed =
        !mutated_inputs(*node->op, node->attrs).empty() ||
        std::any_of(node->outputs.begin(), node->outputs.end(), [&](int32_t o) { return live[index(o)]; });
    if (!needed) continue;
    for (const int32_t in : node->inputs) live[index(in)] = true;
    kept.push_back(std::move(*node));
  }
  std::reverse(kept.begin(), kept.end());
  ir.nodes = std::move(kept);
}

void merge_equal_nodes(Ir& ir) {
  merge_constants(ir);
  std::vector<int32_t> to(ir.values.size());
  for (size_t id = 0; id < to.size(); ++id) to[id] = static_cast<int32_t>(id);
  std::vector<int> version(ir.values.size());  // of persistent values: how often they were written so far
  struct Seen {
    size_t node;
    std::vector<int> versions;
  };
  std::unordered_map<std::string, std::vector<Seen>> seen;  // by operator; compared in full below
  std::vector<Node> kept;
  for (Node& node : ir.nodes) {
    for (int32_t& in : node.inputs) in = to[index(in)];
    std::vector<int> versions;
    for (const int32_t in : node.inputs) versions.push_back(version[index(in)]);
    const auto written = mutated_inputs(*node.op, node.attrs);
    if (written.empty()) {
      auto& bucket = seen[node.op->name];
      const auto same = std::find_if(bucket.begin(), bucket.end(), [&](const Seen& s) {
        return kept[s.node].inputs == node.inputs && s.versions == versions && kept[s.node].attrs == node.attrs;
      });
      if (same != bucket.end()) {
        for (size_t o = 0; o < node.outputs.size(); ++o) to[index(node.outputs[o])] = kept[same->node].outputs[o];
        continue;
      }
      bucket.push_back({kept.size(), versions});
    }
    for (const int i : written) ++version[index(node.inputs[static_cast<size_t>(i)])];
    kept.push_back(std::move(node));
  }
  ir.nodes = std::move(kept);
  for (auto& [name, id] : ir.outputs) id = to[index(id)];
}

bool has_kernel(const NodeSpec& node, const DeviceInfo& device) {
  return std::ranges::any_of(node.op->kernels, [&](const KernelDef& k) {
    return k.device == device.device.kind && std::strcmp(k.name, "reference") != 0 &&
           (k.reject == nullptr || k.reject(node, device) == nullptr);
  });
}

namespace {

// Whether `node` has f32 factors and a kernel that takes them in `precision`.
bool rounds(const Ir& ir, const Node& node, Precision precision, const DeviceInfo& device) {
  NodeSpec rounded = spec_of(ir, node);
  bool any = false;
  for (const int i : node.op->factors) {
    DType& dtype = rounded.in[static_cast<size_t>(i)].dtype;
    any |= dtype == DType::F32;
    if (dtype == DType::F32 && precision == Precision::BF16) dtype = DType::BF16;
  }
  if (any && precision == Precision::TF32) rounded.attrs.set("tf32", int64_t{1});
  return any && has_kernel(rounded, device);
}

// Values in bf16 of the values that products read.
struct Rounded {
  Ir& ir;
  const DeviceInfo& device;
  std::vector<Node> nodes = {};           // in their new order
  std::map<int32_t, int32_t> known = {};  // value -> its bf16 form, until something writes the value

  void add(Node node) {
    if (rounds(ir, node, Precision::BF16, device))
      for (const int i : node.op->factors) {
        int32_t& factor = node.inputs[static_cast<size_t>(i)];
        factor = bf16_of(factor, node.loc);
      }
    for (const int i : mutated_inputs(*node.op, node.attrs)) known.erase(node.inputs[static_cast<size_t>(i)]);
    nodes.push_back(std::move(node));
  }
  int32_t bf16_of(int32_t value, const Loc& loc) {
    const auto [at, added] = known.try_emplace(value, static_cast<int32_t>(ir.values.size()));
    if (!added) return at->second;
    ValueInfo rounded;
    rounded.spec = {DType::BF16, ir.values[index(value)].spec.shape};
    ir.values.push_back(std::move(rounded));
    nodes.push_back(
        {&registry().at("cast"), {{"dtype", std::string(name_of(DType::BF16))}}, {value}, {at->second}, loc});
    return at->second;
  }
};

}  // namespace

void round_factors(Ir& ir, Precision precision, const DeviceInfo& device) {
  if (precision == Precision::TF32) {
    for (Node& node : ir.nodes)
      if (rounds(ir, node, precision, device)) node.attrs.set("tf32", int64_t{1});
  } else if (precision == Precision::BF16) {
    Rounded rounded{ir, device};
    for (Node& node : ir.nodes) rounded.add(std::move(node));
    ir.nodes = std::move(rounded.nodes);
  }
}

namespace {

struct Fusion {
  Ir& ir;
  std::vector<int> readers;
  std::vector<int32_t> place;  // of the node that computes a value, -1: none so far
  std::vector<bool> gone;

  bool into_producer(size_t at);
  bool beside_producer(size_t at);
};

// The consumer at `at` is taken over by the producer of one of its inputs, whose only reader it is.
bool Fusion::into_producer(size_t at) {
  const Node consumer = ir.nodes[at];
  for (size_t operand = 0; operand < consumer.inputs.size() && consumer.outputs.size() == 1; ++operand) {
    const int32_t in = consumer.inputs[operand];
    if (place[index(in)] < 0 || readers[index(in)] != 1) continue;
    const auto from = static_cast<size_t>(place[index(in)]);
    if (gone[from] || ir.nodes[from].op->absorb == nullptr || ir.nodes[from].outputs.size() != 1) continue;
    Node fused = ir.nodes[from];
    if (!can_move_later(ir, from, at) || !fused.op->absorb(fused, consumer, static_cast<int>(operand), ir.values))
      continue;
    fused.outputs = consumer.outputs;
    ir.nodes[at] = std::move(fused);
    gone[from] = true;
    return true;
  }
  return false;
}

// By a producer that keeps its own output for others. It stays where it is: the consumer waits for nothing else.
bool Fusion::beside_producer(size_t at) {
  const Node& consumer = ir.nodes[at];
  if (consumer.inputs.size() != 1 || consumer.outputs.size() != 1 || place[index(consumer.inputs[0])] < 0) return false;
  const auto from = static_cast<size_t>(place[index(consumer.inputs[0])]);
  if (gone[from] || ir.nodes[from].outputs != consumer.inputs) return false;
  Node fused = ir.nodes[from];
  if (fused.op->absorb == nullptr || !fused.op->absorb(fused, consumer, kBeside, ir.values)) return false;
  fused.outputs = {consumer.outputs[0], fused.outputs[0]};
  ir.nodes[from] = std::move(fused);
  gone[at] = true;
  return true;
}

}  // namespace

void fuse_epilogues(Ir& ir) {
  Fusion f{ir, count_readers(ir), std::vector<int32_t>(ir.values.size(), -1), std::vector<bool>(ir.nodes.size())};
  for (size_t at = 0; at < ir.nodes.size(); ++at) {
    if (!f.into_producer(at)) f.beside_producer(at);
    for (const int32_t out : ir.nodes[at].outputs) f.place[index(out)] = static_cast<int32_t>(at);
  }
  std::vector<Node> kept;
  for (size_t i = 0; i < ir.nodes.size(); ++i)
    if (!f.gone[i]) kept.push_back(std::move(ir.nodes[i]));
  ir.nodes = std::move(kept);
}

}  // namespace winnow
