// The factors of matrix products: f32 or f64, or bf16 whose sums are f32 (ops/matmul.h).
#pragma once
#include <utility>

#include "core/graph.h"

namespace winnow::detail {

// The type of sums and results.
inline DType sum_of_factors(DType factor) { return factor == DType::BF16 ? DType::F32 : factor; }

// Inputs 0 and 1 are factors of one type; the type of sums and results.
inline DType expect_factors(const Infer& in) {
  for (int i = 0; i < 2; ++i) in.expect_dtype(i, {DType::F32, DType::BF16, DType::F64});
  in.expect_same_dtype(0, 1);
  return sum_of_factors(in.dtype(0));
}

// Rounding comes after differentiation.
inline void expect_f32_factors(const Grad& g, const char* op) {
  WN_CHECK(g.x(0).dtype() != DType::BF16 && !g.attrs().flag("tf32"), Error,
           "{}(): no gradient through rounded factors: record them in f32 and compile with "
           "CompileOptions::precision ({})",
           op, at_source(g.loc()));
}

// Of CPU kernels for f32, and for bf16.
inline const char* reject_all_but_f32_factors(const NodeSpec& node) {
  if (node.attrs.flag("tf32")) return "TF32 is a precision of CUDA devices";
  return node.in[0].dtype == DType::F32 ? nullptr : "f32 only";
}
inline const char* reject_all_but_bf16_factors(const NodeSpec& node, const DeviceInfo& device) {
  if (node.in[0].dtype != DType::BF16) return "bf16 factors only";
  return device.avx512_bf16 ? nullptr : "needs AVX-512 BF16";
}

// Calls f.template operator()<Factor, Sum>().
template <class F>
void visit_factors(DType factor, const char* op, F&& f) {
  if (factor == DType::BF16) return f.template operator()<bf16, float>();
  visit_float(factor, op, [&]<class T> { f.template operator()<T, T>(); });
}

}  // namespace winnow::detail
