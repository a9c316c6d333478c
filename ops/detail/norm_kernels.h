// Kernels of layer_norm, rms_norm and add_layer_norm and of their gradients (kernels only: ops/*.cu). One launch reads
// and writes each operand once; the gradient also sums what gamma and beta need over the rows of a block, and a second
// launch adds the blocks.
//
// Masks are made while the row is under way from memory. A Philox block, 20 multiplications of 32 by 32 bits, makes
// four elements here, for which 16 bytes an element move: at 16 multiplications a clock and multiprocessor 1.25 clocks,
// where an H100's memory needs 5.
#pragma once
#include "core/cuda/column_sums.h"
#include "core/cuda/rows.h"
#include "ops/detail/dropout_packs.h"

namespace winnow::detail {

using cuda::Row, cuda::RowLaunch, cuda::RowValues, cuda::Sum, cuda::map, cuda::total;

struct NormForward {
  const float *x = nullptr, *z = nullptr;         // z null: rows are x, else sum = x + drop(z)
  const float *gamma = nullptr, *beta = nullptr;  // beta null: none
  float *sum = nullptr, *y = nullptr;             // sum where there is a z
  float *mean = nullptr, *rstd = nullptr;         // null: not wanted
  float eps = 0;
  int64_t n = 0;
  PackDropout drop = {};
};

// Which elements of a thread's packs drop() keeps, of the row that begins at element `at`: a bit each.
template <class L>
struct KeptElements {
  static_assert(L::kPacks * L::kWidth <= 32);
  uint32_t bits = 0;
  __device__ KeptElements(const Row<L>& row, const PackDropout& drop, uint64_t step, int64_t at) {
    if constexpr (L::kPacks > 0)
      row.each([&](unsigned j, unsigned k) {
        bits |= drop.kept<L::kWidth>(step, at + int64_t{j} * L::kWidth) << (k * L::kWidth);
      });
  }
};
// drop(v), v from element i of the operand on
template <class L>
__device__ typename L::Pack dropped(const PackDropout& drop, uint64_t step, const KeptElements<L>& kept, int64_t i,
                                    unsigned k, typename L::Pack v) {
  if (drop.step == nullptr) return v;
  return drop.if_kept(L::kPacks > 0 ? kept.bits >> (k * L::kWidth) : drop.kept<L::kWidth>(step, i), v);
}

template <bool kCentred, class L>
__device__ float mean_of(const Row<L>& row, const RowValues<L>& x, int64_t n) {
  if constexpr (!kCentred) return 0;
  float sum = 0;
  row.each([&](unsigned j, unsigned k) { sum += total(x.at(j, k)); });
  return row.reduce(sum, Sum()) / static_cast<float>(n);
}
template <class L>
__device__ float rstd_of(const Row<L>& row, const RowValues<L>& x, float mean, float eps, int64_t n) {
  float squares = 0;
  row.each([&](unsigned j, unsigned k) {
    squares += total(map([mean](float v) { return (v - mean) * (v - mean); }, x.at(j, k)));
  });
  return 1.0f / sqrtf(row.reduce(squares, Sum()) / static_cast<float>(n) + eps);
}

template <class L, bool kCentred>
__global__ void __launch_bounds__(L::kMostThreads, L::kMostThreads <= 256 ? 2 : 1)
    norm_rows(NormForward a, unsigned lanes, int64_t rows, unsigned packs) {
  const uint64_t step = a.drop.step_of();
  cuda::each_row<L>(lanes, rows, packs, [&](const Row<L>& row) {
    const int64_t at = row.index * a.n;
    RowValues<L> x;
    if (a.z == nullptr) {
      x.load(row, a.x + at);
    } else {
      RowValues<L> z;  // all loads before the first store, which they would wait for
      z.load(row, a.z + at);
      x.load(row, a.x + at);
      const KeptElements<L> kept(row, a.drop, step, at);
      row.each([&](unsigned j, unsigned k) {
        const auto branch = dropped<L>(a.drop, step, kept, at + int64_t{j} * L::kWidth, k, z.at(j, k));
        x.value[k] = map([](float u, float v) { return u + v; }, x.at(j, k), branch);
        row.store(a.sum + at, j, x.value[k]);
      });
      x.data = a.sum + at;
    }
    const float mean = mean_of<kCentred>(row, x, a.n), rstd = rstd_of(row, x, mean, a.eps, a.n);
    row.each([&](unsigned j, unsigned k) {
      auto y =
          map([=](float v, float gamma) { return (v - mean) * rstd * gamma; }, x.at(j, k), row.constant(a.gamma, j));
      if (a.beta != nullptr) y = map([](float v, float beta) { return v + beta; }, y, row.constant(a.beta, j));
      row.store(a.y + at, j, y);
    });
    if (row.first() && a.mean != nullptr) a.mean[row.index] = mean;
    if (row.first() && a.rstd != nullptr) a.rstd[row.index] = rstd;
  });
}
template <bool kCentred>
void run_norm(const Call& c, const NormForward& a, int64_t rows) {
  if (rows == 0) return;
  cuda::with_row_layout(a.n, [&]<class L>(RowLaunch l) {
    cuda::run(c, norm_rows<L, kCentred>, l.blocks<L>(rows), l.threads, 0, a, l.lanes, rows, l.packs);
  });
}

struct NormGradient {
  const float *dy = nullptr, *x = nullptr, *gamma = nullptr;
  const float *mean = nullptr, *rstd = nullptr;  // rstd null: both are taken from x again
  const float* dsum = nullptr;                   // added to dx; null: none
  float *dx = nullptr, *dz = nullptr;            // dz = drop(dx); null: not wanted
  bf16* low_dz = nullptr;                        // dz in bf16 instead
  float* parts = nullptr;                        // [blocks, sums n]: dgamma, with means also dbeta
  float eps = 0;
  int64_t n = 0;
  PackDropout drop = {};
};

// Sums over the rows that a thread meets, of its packs; without packs in `parts`, the block's own row of it.
template <class L, int kSums>
struct RowSums {
  using Pack = typename L::Pack;
  Pack sum[kSums][L::kPacks > 0 ? L::kPacks : 1] = {};
  float* parts;
  int64_t n;

  __device__ RowSums(float* all, int64_t columns, unsigned packs)
      : parts(all + int64_t{blockIdx.x} * kSums * columns), n(columns) {
    if constexpr (L::kPacks == 0)
      for (unsigned j = threadIdx.x; j < packs; j += blockDim.x)
        for (int s = 0; s < kSums; ++s) at(s, j) = Pack();
  }
  __device__ Pack& at(int s, unsigned j) const { return reinterpret_cast<Pack*>(parts + s * n)[j]; }
  __device__ static Pack added(Pack a, Pack b) {
    return map([](float u, float v) { return u + v; }, a, b);
  }
  __device__ static Pack shuffled(Pack a, unsigned distance) {
    return map([=](float v) { return __shfl_xor_sync(cuda::kAllLanes, v, static_cast<int>(distance)); }, a);
  }
  __device__ void add(int s, unsigned j, unsigned k, Pack value) {
    if constexpr (L::kPacks > 0)
      sum[s][k] = added(sum[s][k], value);
    else
      at(s, j) = added(at(s, j), value);
  }
  // The block's sums to its parts: the groups of a warp, then the warps in order.
  __device__ void store(unsigned lanes, unsigned packs) {
    if constexpr (L::kPacks > 0 && L::kBlock) {
      for (unsigned k = 0; k < L::kPacks; ++k)
        if (const unsigned j = threadIdx.x + k * blockDim.x; j < packs)
          for (int s = 0; s < kSums; ++s) at(s, j) = sum[s][k];
    } else if constexpr (L::kPacks > 0) {
      constexpr unsigned kWarps = L::kMostThreads / 32;
      WN_SHARED(Pack, tile, [kWarps][L::kPacks * 32]);
      const unsigned lane = threadIdx.x % 32, warps = blockDim.x / 32;
#pragma unroll  // else the sums would lie in memory
      for (int s = 0; s < kSums; ++s) {
#pragma unroll
        for (unsigned k = 0; k < L::kPacks; ++k) {
          for (unsigned distance = 16; distance >= lanes; distance /= 2)
            sum[s][k] = added(sum[s][k], shuffled(sum[s][k], distance));
          if (const unsigned j = lane + k * lanes; lane < lanes && j < packs) tile[threadIdx.x / 32][j] = sum[s][k];
        }
        __syncthreads();
        for (unsigned j = threadIdx.x; j < packs; j += blockDim.x) {
          Pack all = tile[0][j];
#pragma unroll 4
          for (unsigned w = 1; w < warps; ++w) all = added(all, tile[w][j]);
          at(s, j) = all;
        }
        __syncthreads();
      }
    }
  }
};

// Eight packs of four, their gradients and their sums need more registers than two blocks of 256 have.
template <class L>
constexpr int norm_gradient_residents = L::kMostThreads <= 256 && L::kPacks < 8 ? 2 : 1;
template <class L, bool kCentred>
__global__ void __launch_bounds__(L::kMostThreads, norm_gradient_residents<L>)
    norm_gradient_rows(NormGradient a, unsigned lanes, int64_t rows, unsigned packs) {
  RowSums<L, kCentred ? 2 : 1> sums(a.parts, a.n, packs);
  const uint64_t step = a.drop.step_of();
  cuda::each_row<L>(lanes, rows, packs, [&](const Row<L>& row) {
    const int64_t at = row.index * a.n;
    RowValues<L> x, dy;
    x.load(row, a.x + at);
    dy.load(row, a.dy + at);
    const KeptElements<L> kept(row, a.drop, step, at);
    const bool saved = a.rstd != nullptr;
    float mean = 0, rstd = 0;
    if (!saved) {
      mean = mean_of<kCentred>(row, x, a.n);
      rstd = rstd_of(row, x, mean, a.eps, a.n);
    } else if (row.packs > 0) {
      mean = kCentred ? a.mean[row.index] : 0;
      rstd = a.rstd[row.index];
    }
    float along_one = 0, along_x = 0;
    row.each([&](unsigned j, unsigned k) {
      const auto scaled = map([](float d, float g) { return d * g; }, dy.at(j, k), row.constant(a.gamma, j));
      if (kCentred) along_one += total(scaled);
      along_x += total(map([=](float d, float v) { return d * ((v - mean) * rstd); }, scaled, x.at(j, k)));
    });
    row.reduce_each(Sum(), along_one, along_x);
    along_one /= static_cast<float>(a.n);
    along_x /= static_cast<float>(a.n);
    row.each([&](unsigned j, unsigned k) {
      const auto d = dy.at(j, k), h = map([=](float v) { return (v - mean) * rstd; }, x.at(j, k));
      sums.add(0, j, k, map([](float u, float v) { return u * v; }, d, h));
      if constexpr (kCentred) sums.add(1, j, k, d);
      auto dx = map([=](float u, float g, float v) { return rstd * (u * g - along_one - v * along_x); }, d,
                    row.constant(a.gamma, j), h);
      if (a.dsum != nullptr) dx = map([](float u, float v) { return u + v; }, dx, row.constant(a.dsum + at, j));
      row.store(a.dx + at, j, dx);
      if (a.dz == nullptr && a.low_dz == nullptr) return;
      const auto dz = dropped<L>(a.drop, step, kept, at + int64_t{j} * L::kWidth, k, dx);
      if (a.dz != nullptr)
        row.store(a.dz + at, j, dz);
      else
        row.store(a.low_dz + at, j, dz);
    });
  });
  sums.store(lanes, packs);
}

template <class L>
dim3 norm_gradient_blocks(const RowLaunch& l, int64_t rows) {
  constexpr int64_t kBlocks = cuda::kSummingBlocks;
  return l.blocks<L>(rows, L::kBlock ? std::clamp<int64_t>(kBlocks * 512 / l.threads, kBlocks, 4 * kBlocks) : kBlocks);
}
template <bool kCentred>
size_t norm_gradient_scratch(int64_t rows, int64_t n) {
  int64_t blocks = 0;
  cuda::with_summing_row_layout(rows, n, [&]<class L>(RowLaunch l) { blocks = norm_gradient_blocks<L>(l, rows).x; });
  return static_cast<size_t>(blocks * (kCentred ? 2 : 1) * n) * sizeof(float);
}
template <bool kCentred>
void run_norm_gradient(const Call& c, NormGradient a, int64_t rows, float* dgamma, float* dbeta) {
  a.parts = c.scratch_as<float>();
  int64_t blocks = 0;
  cuda::with_summing_row_layout(rows, a.n, [&]<class L>(RowLaunch l) {
    const dim3 grid = norm_gradient_blocks<L>(l, rows);
    blocks = grid.x;
    cuda::run(c, norm_gradient_rows<L, kCentred>, grid, l.threads, 0, a, l.lanes, rows, l.packs);
  });
  cuda::add_parts(c, blocks, (kCentred ? 2 : 1) * a.n, a.n, a.parts, dgamma, dbeta);
}

}  // namespace winnow::detail
