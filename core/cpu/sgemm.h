// Packed fp32 matrix product with a fused epilogue.
//
//   C[m,n] = epilogue( alpha * op(A)[m,k] * op(B)[k,n]  [+ C] )        all matrices row-major
//
// Contract
//  * The bits of the result depend on the sizes, the flags and the instruction set only: never on the number of
//    threads, on scheduling, on leading dimensions or on where the data lies.
//  * sgemm() allocates nothing; the caller passes sgemm_workspace_bytes() bytes aligned to 64 (huge pages are faster).
//    A workspace serves one call at a time.
//  * It uses the whole team of core/parallel.h, or one thread when called from inside a parallel loop.
//  * C must not overlap any input; epilogue tensors must not overlap C (partial sums pass through C).
//  * C is not read unless `accumulate`. NaN and infinity propagate through every activation.
//  * m, n or k may be 0 (k = 0: C = epilogue(0 [+ C])).
// Order of sums: an element is one chain of fused multiply-adds per block of k (at most 512 long), blocks added in
// order, with a packed B whatever m is: a row's bits do not depend on how many rows there are. Else short or thin
// products (m <= 32 or n = 1) keep one chain, or one chain per vector lane, over all of k, and small ones of long k are
// sums of parts.
#pragma once
#include <cstddef>
#include <cstdint>

namespace winnow::cpu {

enum class Act : std::uint8_t { None, Relu, Gelu, GeluTanh, Sigmoid, Tanh };
enum class Isa : std::uint8_t { Best, Avx2, Avx512 };  // Best: the widest the CPU has

// Applied to each element t = alpha*AB [+ C] while its tile is in L1, in this order:
//   t += bias[j];  t += residual[i,j];  preact[i,j] = t;  t = act(t);  t = masked(t, mask[i,j]);  C[i,j] = t
// masked() is the gradient of the activation `mask_act` below: relu (mask <= 0 ? 0 : t), or gelu'(mask) * t.
struct SgemmEpilogue {
  const float* bias = nullptr;      // [n]
  const float* residual = nullptr;  // [m,n]
  std::size_t ld_residual = 0;
  float* preact = nullptr;  // [m,n] out: the value before the activation
  std::size_t ld_preact = 0;
  Act act = Act::None;
  const float* mask = nullptr;  // [m,n] saved relu output (the gradient passes where it is > 0 or NaN) or gelu input
  std::size_t ld_mask = 0;
  Act mask_act = Act::Relu;   // or Gelu, GeluTanh
  float* colsum_c = nullptr;  // [n] out: column sums of the final C (bias gradient of the layer below)
  float* colsum_b = nullptr;  // [n] out: column sums of op(B) (bias gradient when B = dY); not with packed_b
};

struct SgemmProblem {
  std::size_t m = 0, n = 0, k = 0;
  bool trans_a = false, trans_b = false;  // stored A is [k,m] / stored B is [n,k]
  float alpha = 1.f;
  bool accumulate = false;
  const float* a = nullptr;
  std::size_t lda = 0;
  const float* b = nullptr;  // ignored when packed_b is set
  std::size_t ldb = 0;
  const float* packed_b = nullptr;  // from sgemm_pack_b() with the same n, k and isa
  float* c = nullptr;
  std::size_t ldc = 0;
  Isa isa = Isa::Best;
};

// Looks at sizes, flags and which pointers are set.
std::size_t sgemm_workspace_bytes(const SgemmProblem& problem, const SgemmEpilogue& epilogue);
void sgemm(const SgemmProblem& problem, const SgemmEpilogue& epilogue, void* workspace);

// Weights packed once, for inference. The layout belongs to the instruction set: not a file format.
std::size_t sgemm_packed_b_bytes(std::size_t n, std::size_t k, Isa isa = Isa::Best);
void sgemm_pack_b(const float* b, std::size_t ldb, bool trans_b, std::size_t n, std::size_t k, void* out,
                  Isa isa = Isa::Best);

// Where element (kk, j) of op(B) lies in it.
std::size_t sgemm_packed_place(std::size_t n, std::size_t k, std::size_t kk, std::size_t j, Isa isa = Isa::Best);

bool has_isa(Isa isa);          // can this CPU run it
const char* isa_name(Isa isa);  // "avx2" or "avx512"; of Best: what it stands for

}  // namespace winnow::cpu
