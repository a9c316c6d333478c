// Rewrites of a recorded graph before kernels are chosen. Each keeps what the outputs and mutations compute.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/graph.h"

namespace winnow {

// As OpDef::absorb's operand: the consumer has no other input, and output 0 of the producer has further readers. The
// fused node computes the consumer's output as output 0 and what the producer computed as output 1, at its old place.
inline constexpr int kBeside = -1;

// The graph under compilation: its own copy of nodes and values.
struct Ir {
  explicit Ir(const Graph& graph);
  std::vector<Node> nodes;  // in execution order
  std::deque<ValueInfo> values;
  std::map<std::string, int32_t> outputs;
};

NodeSpec spec_of(const Ir& ir, const Node& node);
void remove_dead_nodes(Ir& ir);                // nodes that no output and no mutation depends on
void merge_equal_nodes(Ir& ir);                // same operator, attributes and inputs, compared in full
void fuse_epilogues(Ir& ir);                   // OpDef::absorb; kBeside
std::vector<int> count_readers(const Ir& ir);  // per value; graph outputs count as one reader each

// Whether `device` has a kernel for the node that is no reference, which is there to be compared with.
bool has_kernel(const NodeSpec& node, const DeviceInfo& device);
// OpDef::factors, of nodes for which the device has a kernel of that precision; the others stay f32. A value is rounded
// once for all its products.
void round_factors(Ir& ir, Precision precision, const DeviceInfo& device);
// Where a value in f32 is read in bf16 alone, or by nodes that take it so too, the node that computes it gives bf16, if
// the device has a kernel for that: attribute bf16_out, a bit for each output. After all other passes.
void store_rounded(Ir& ir, const DeviceInfo& device);

}  // namespace winnow
