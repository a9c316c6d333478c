// Kernels of layer_norm, rms_norm and add_layer_norm and of their gradients (kernels only: ops/*.cu). One launch reads
// and writes each operand once; the gradient also sums what gamma and beta need over the rows of a block, and a second
// launch adds the blocks.
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
  cuda::each_row<L>(lanes, rows, packs, [&](const Row<L>& row) {
    const int64_t at = row.index * a.n;
    RowValues<L> x;
    if (a.z == nullptr) {
      x.load(row, a.x + at);
    } else {
      RowValues<L> z;  // all loads before the first store, which they would wait for
      z.load(row, a.z + at);
      x.load(row, a.x + at);
      row.each([&](unsigned j, unsigned k) {
        const auto dropped = a.drop(at + int64_t{j} * L::kWidth, z.at(j, k));
        x.value[k] = map([](float u, float v) { return u + v; }, x.at(j, k), dropped);
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
  cuda::with_row_layout<false>(a.n, [&]<class L>(RowLaunch l) {
    cuda::run(c, norm_rows<L, kCentred>, l.blocks<L>(rows), l.threads, 0, a, l.lanes, rows, l.packs);
  });
}

struct NormGradient {
  const float *dy = nullptr, *x = nullptr, *gamma = nullptr;
  const float *mean = nullptr, *rstd = nullptr;  // rstd null: both are taken from x again
  const float* dsum = nullptr;                   // added to dx; null: none
  float *dx = nullptr, *dz = nullptr;            // dz = drop(dx); null: not wanted
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
  __device__ void add(int s, unsigned j, unsigned k, Pack value) {
    if constexpr (L::kPacks > 0)
      sum[s][k] = added(sum[s][k], value);
    else
      at(s, j) = added(at(s, j), value);
  }
  // The block's sums to its parts, threads in order.
  __device__ void store(unsigned lanes, unsigned packs) {
    if constexpr (L::kPacks > 0 && L::kBlock) {
      for (unsigned k = 0; k < L::kPacks; ++k)
        if (const unsigned j = threadIdx.x + k * blockDim.x; j < packs)
          for (int s = 0; s < kSums; ++s) at(s, j) = sum[s][k];
    } else if constexpr (L::kPacks > 0) {
      WN_SHARED(Pack, tile, [256]);
      for (int s = 0; s < kSums; ++s)
        for (unsigned k = 0; k < L::kPacks; ++k) {
          Pack all = tile[threadIdx.x] = sum[s][k];
          __syncthreads();
          const unsigned j = threadIdx.x + k * lanes;
          if (threadIdx.x < lanes && j < packs) {
            for (unsigned i = threadIdx.x + lanes; i < blockDim.x; i += lanes) all = added(all, tile[i]);
            at(s, j) = all;
          }
          __syncthreads();
        }
    }
  }
};

template <class L, bool kCentred>
__global__ void __launch_bounds__(L::kMostThreads, L::kMostThreads <= 256 ? 2 : 1)
    norm_gradient_rows(NormGradient a, unsigned lanes, int64_t rows, unsigned packs) {
  RowSums<L, kCentred ? 2 : 1> sums(a.parts, a.n, packs);
  cuda::each_row<L>(lanes, rows, packs, [&](const Row<L>& row) {
    const int64_t at = row.index * a.n;
    RowValues<L> x, dy;
    x.load(row, a.x + at);
    dy.load(row, a.dy + at);
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
      if (a.dz != nullptr) row.store(a.dz + at, j, a.drop(at + int64_t{j} * L::kWidth, dx));
    });
  });
  sums.store(lanes, packs);
}

// Two blocks of 256 threads for each multiprocessor of an H100 are in flight; more would only add to the parts.
template <class L>
dim3 norm_gradient_blocks(const RowLaunch& l, int64_t rows) {
  return l.blocks<L>(rows, std::clamp<int64_t>(132 * 512 / l.threads, 132, 528));
}
template <bool kCentred>
size_t norm_gradient_scratch(int64_t rows, int64_t n) {
  int64_t blocks = 0;
  cuda::with_row_layout<true>(n, [&]<class L>(RowLaunch l) { blocks = norm_gradient_blocks<L>(l, rows).x; });
  return static_cast<size_t>(blocks * (kCentred ? 2 : 1) * n) * sizeof(float);
}
template <bool kCentred>
void run_norm_gradient(const Call& c, NormGradient a, int64_t rows, float* dgamma, float* dbeta) {
  a.parts = c.scratch_as<float>();
  int64_t blocks = 0;
  cuda::with_row_layout<true>(a.n, [&]<class L>(RowLaunch l) {
    const dim3 grid = norm_gradient_blocks<L>(l, rows);
    blocks = grid.x;
    cuda::run(c, norm_gradient_rows<L, kCentred>, grid, l.threads, 0, a, l.lanes, rows, l.packs);
  });
  cuda::add_parts(c, blocks, (kCentred ? 2 : 1) * a.n, a.n, a.parts, dgamma, dbeta);
}

}  // namespace winnow::detail
