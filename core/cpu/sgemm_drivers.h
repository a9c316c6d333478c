// How sgemm cuts a product into tasks. Three ways:
//   blocked  k outermost; per block of k the team packs op(B) (shared), then takes row blocks: a thread packs its block
//            of op(A) and multiplies it with every panel of B (A block in L2). With few row blocks for the team, A is
//            packed by all and tasks are parts of C. Partial sums pass through C. Few tiles and long k: k is sliced,
//            slices summed in order.
//   dot      m <= 16, B transposed: vectors run along k.
//   skinny   m <= 32 else: a task owns some columns over all k, its sums in L1/L2. It reads B once: in place when it is
//            prepacked or m <= 2, else through a few panels packed on its stack (in place, rows a multiple of 4 KiB
//            apart fall on one L1 set and evict each other before the next rows of A use them).
// n = 1 is m = 1 with A and B exchanged. Each element is summed by one task in an order set by the sizes alone, so
// neither the number of threads nor the order in which they take tasks can be seen in the result.
#pragma once
#include <algorithm>
#include <cstddef>

#include "core/cpu/sgemm_kernels.h"

namespace winnow::cpu {

inline constexpr std::size_t kMaxMR = 16, kMaxNR = 48;
inline constexpr std::size_t kSkinnyM = 32, kDotM = 16, kDotCols = 48;

inline std::size_t ceil_div(std::size_t a, std::size_t b) { return (a + b - 1) / b; }
inline std::size_t round_up(std::size_t a, std::size_t b) { return ceil_div(a, b) * b; }

const SgemmKernels& sgemm_kernels(Isa isa);

// k cut into `count` nearly equal blocks of at most `longest`.
struct KBlocks {
  std::size_t k, count, kc;
  KBlocks(std::size_t k_, std::size_t longest)
      : k(k_), count(std::max<std::size_t>(1, ceil_div(k_, longest))), kc(round_up(ceil_div(k_, count), 8)) {}
  std::size_t length(std::size_t block) const { return std::min(kc, k - block * kc); }
};

// Cuts the workspace into parts; with a null base it only measures.
struct WorkspaceCutter {
  char* base;
  std::size_t used = 0;
  float* take(std::size_t floats) {
    float* part = base != nullptr ? reinterpret_cast<float*>(base + used) : nullptr;
    used +=
        round_up(floats * sizeof(float), 64) + 64;  // the gap keeps power-of-two sized parts off the same cache sets
    return part;
  }
};

enum class SgemmPath { Blocked, Skinny, Dot };
SgemmPath sgemm_path(const SgemmProblem& p);

std::size_t blocked_workspace_bytes(const SgemmProblem& p, const SgemmEpilogue& e);
void run_blocked(const SgemmProblem& p, const SgemmEpilogue& e, void* workspace, int threads);
std::size_t short_workspace_bytes(const SgemmProblem& p);
void run_short(const SgemmProblem& p, const SgemmEpilogue& e, void* workspace, int threads, SgemmPath path);

// Column sums of op(B) where no packing pass sees it.
void column_sums_of_b(const SgemmProblem& p, float* out);

}  // namespace winnow::cpu
