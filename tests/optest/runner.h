// Runs one kernel on operands whose storage the caller controls: the kernel's own interface, without graph or plan.
#pragma once
#include <optional>

#include "tests/optest/suite.h"

namespace winnow::optest {

// The node of `op` with these inputs; ShapeError / DTypeError come from the operator.
NodeSpec node_of(const OpDef& op, const Attrs& attrs, std::span<const TensorSpec> in);
NodeSpec node_of(const Case& c);
bool mutates(const NodeSpec& node, size_t input);

// The node in double precision: as many F32 / BF16 inputs as the operator accepts become F64 (a scalar that the
// operator always takes as F32 stays). nullopt when the reference takes none.
std::optional<NodeSpec> wide_node_of(const Case& c);
NodeSpec required_wide_node_of(const Case& c);  // Error instead of nullopt
// Inputs converted to the specs of `node`.
std::vector<Tensor> inputs_for(const NodeSpec& node, const std::vector<Tensor>& in);

// The reason why `kernel` cannot run `node` here, or nullptr.
const char* refusal(const KernelDef& kernel, const NodeSpec& node);
// The same on a machine with every instruction set: tells a missing sample from a missing machine.
const char* refusal_on_any_machine(const KernelDef& kernel, const NodeSpec& node);

struct Storage {
  Allocator* allocator = nullptr;      // of outputs, scratch and all inputs; nullptr = host, unmutated inputs in place
  unsigned char poison = 0xFF;         // fills outputs and scratch before the run; 0xFF is NaN
  std::pair<int, int> shared{-1, -1};  // (input, output) on one storage
};

struct Result {
  std::vector<Tensor> in, out;  // as the run left them
  Tensor scratch;
};

// A kernel prepared for one node. Inputs that the operator mutates are copied before each run; run() brings the
// operands of other devices back to the host.
class Prepared {
 public:
  Prepared(const KernelDef& kernel, NodeSpec node);
  Prepared(const Prepared&) = delete;  // kernels keep references to node()
  Prepared& operator=(const Prepared&) = delete;
  Result run(std::span<const Tensor> in, const Storage& storage = {}) const;
  Result place(std::span<const Tensor> in, const Storage& storage = {}) const;  // the operands of run(), not yet run
  void execute(const Result& operands, Stream& stream) const;
  const NodeSpec& node() const { return node_; }
  Device device() const { return {kernel_.device, 0}; }

 private:
  Result place_on_device(std::span<const Tensor> in, const Storage& storage) const;
  const KernelDef& kernel_;
  NodeSpec node_;
  std::shared_ptr<void> state_;
  size_t scratch_bytes_ = 0;
};

// What a run is judged by: the outputs and the inputs it wrote.
struct Visible {
  std::string name;
  Tensor tensor;
  bool mutated = false;
  int input = -1;
};
std::vector<Visible> visible(const NodeSpec& node, const Result& result);

bool same_bits(const Tensor& a, const Tensor& b);
// "" or the first difference of two runs in bits.
std::string difference(const NodeSpec& node, const Result& a, const Result& b);

}  // namespace winnow::optest
