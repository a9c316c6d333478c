// A matmul node's sizes and epilogue, parsed once per compile.
#pragma once
#include "core/cpu/sgemm.h"
#include "core/op.h"

namespace winnow::detail {

// Names as in the attribute `act`, in the order of cpu::Act.
inline constexpr const char* kActNames[] = {"none", "relu", "gelu", "gelu_tanh", "sigmoid", "tanh"};
int find_act(const std::string& name);  // its cpu::Act, or -1

struct MatmulNode {
  int64_t m = 0, n = 0, k = 0;
  bool trans_a = false, trans_b = false;
  int bias = -1, residual = -1, mask = -1;  // input indices; -1: absent
  cpu::Act act = cpu::Act::None, mask_act = cpu::Act::Relu;
  bool preact = false;  // output 1 is the value before the activation
  bool packed = false;  // b comes from pack_weight
  bool bf16_out = false, bf16_preact = false, bf16_mask = false;
  explicit MatmulNode(const NodeSpec& node);
};

// Elements of a weight [k, n] as pack_weight gives it, and where one lies.
int64_t packed_elements(int64_t n, int64_t k);
int64_t packed_place(int64_t n, int64_t k, int64_t row, int64_t column);

std::vector<KernelDef> matmul_kernels();
// A product with a frozen weight as matmul_int8; nothing where that operator cannot express it. producer: as
// OpDef::pack.
std::optional<PackedInput> pack_int8(const NodeSpec& node, const Node* producer);
double activation(cpu::Act act, double x);  // of the references
void matmul_samples(Samples& samples);

}  // namespace winnow::detail
