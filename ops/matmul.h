// Dense matrix products. Element types f32, and f64 (reference only). The factors of matmul and linear_weight_grad may
// be bf16 while everything else is f32, with sums in f32, or read as TF32 (attribute tf32, CUDA devices): what
// compile() makes of them (CompileOptions::precision). Then there is no gradient. Bits do not depend on the number of
// threads. Errors: ShapeError ("inner dims 128 != 64"), DTypeError.
#pragma once
#include <utility>

#include "core/graph.h"

namespace winnow {

// op(a) [M,K] @ op(b) [K,N] -> [M,N]. trans_a: a is stored [K,M] (rank 2); trans_b: b is stored [N,K].
// Without trans_a, a may have more axes, [..., K]: the leading ones are rows and stay in the result, [..., N].
//
// Operator `matmul`: inputs a, b, then bias [N], residual [..., N], mask [..., N] where the attributes has_bias,
// has_residual, has_mask are set; attribute act: none | relu | gelu | gelu_tanh | sigmoid | tanh.
//   out = act(t), t = a @ b + bias + residual; with has_mask then times the derivative of the activation mask_act:
//   relu: 0 where mask <= 0, mask being a saved output; gelu, gelu_tanh: mask is a saved input
//   packed_n > 0: b is pack_weight(b) of a weight with so many columns, rank 1; no trans_a and no trans_b
//   has_preact: t is output 1, for the gradient of act
//   bf16_out: of bf16 factors without residual: which outputs are bf16, 1: out, 3: t too; then the bias is rounded too,
//   and act is that of the rounded t. mask may be bf16 whenever the factors are.
// Models record the plain product; compile() lets it take over what follows it (epilogue fusion).
Value matmul(Value a, Value b, bool trans_a = false, bool trans_b = false, Loc loc = Loc::current());

// x [..., in] @ weight [in, out] + bias [out]
Value linear(Value x, Value weight, Value bias = {}, Loc loc = Loc::current());

// The weight of a frozen graph as the matrix product reads it, rearranged once (core/cpu/sgemm.h, sgemm_pack_b):
// b [K, N], or [N, K] with trans_b -> f32 [packed size]. compile() records it where CompileOptions::frozen says that
// weights do not change; the layout belongs to the CPU.
Value pack_weight(Value b, bool trans_b = false, Loc loc = Loc::current());

// The same for products in bytes (core/cpu/int8_matmul.h): b -> i8 codes [packed size] and [2, N padded], scale and sum
// of codes of each column. compile() records it, and operator `matmul_int8` in place of matmul, where frozen weights
// are WeightForm::Int8:
//   inputs a, codes, columns, then bias, residual as matmul's; attributes n, bits (8 or 15, of a row of a), act
std::pair<Value, Value> pack_weight_int8(Value b, bool trans_b = false, Loc loc = Loc::current());

// Product per batch item: op(a) [B,M,K] @ op(b) [B,K,N] -> [B,M,N]; trans_a: a is [B,K,M]; trans_b: b is [B,N,K].
Value bmm(Value a, Value b, bool trans_a = false, bool trans_b = false, Loc loc = Loc::current());

// The weight gradient of x [..., K] @ W [K,N] + bias with dy [..., N], all leading axes being rows:
//   dW [K,N] = x^T @ dy, and with bias also db [N] = sum of dy over rows (else an empty Value), in one pass over dy.
struct WeightGradient {
  Value weight, bias;
};
WeightGradient linear_weight_grad(Value x, Value dy, bool with_bias, Loc loc = Loc::current());

}  // namespace winnow
