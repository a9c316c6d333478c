// What the bf16 kernels of jagged attention share: tiles of bf16 in shared memory and their products by mma.sync, in
// the layouts of core/cuda/ptx.h (kernels only).
//
// A block has a tile of `kTile` own tokens as in ops/detail/attention_tiles.h, 16 of them a warp. With g = lane / 4 and
// t = lane % 4 a thread has own tokens g and g + 8 of its warp's. Of a product 16 x N it has s[n][2 r + e]: row g + 8
// r, column 8 n + 2 t + e. Two neighbouring s[n] are a left factor of the next product: weights stay in registers.
#pragma once
#include "core/cuda/bf16.h"
#include "ops/detail/attention_tiles.h"

namespace winnow::detail {

struct RoundedArgs : AttentionArgs {
  const bf16* rounded;  // qkv
  RoundedArgs(const AttentionSpec& s, const Call& c) : AttentionArgs(s, c), rounded(c.in<bf16>(s.first)) {}
};

template <int kTile_, int kDim_>
struct RoundedTile {
  static constexpr int kTile = kTile_, kDim = kDim_;
  static constexpr int kThreads = 2 * kTile;        // 16 tokens a warp
  static constexpr int kPitch = kDim + 8;           // 16 bytes more: eight rows fall into different banks
  static constexpr int kElements = kTile * kPitch;  // of a tile
  static constexpr int kSteps = kDim / 16;          // of the factors' 16 columns
  static constexpr bool kHeld = kDim <= 64;         // own factors stay in registers
  // Blocks a multiprocessor should hold, forward and backward by queries and by keys: what registers allow without
  // spills.
  static constexpr int kBlocks = (kDim <= 32 ? 512 : kDim == 64 ? 384 : 256) / kThreads;
  static constexpr int kQueryBlocks = (kDim <= 64 ? 384 : 256) / kThreads;
  static constexpr int kKeyBlocks = (kDim <= 32 ? 384 : 256) / kThreads;
  static_assert(kTile % 32 == 0 && kDim % 16 == 0);

  using Sums = float[kDim / 8][4];

  // `count` rows of a.dim elements each, zeros up to kTile and kDim; there after their group's wait and a barrier.
  static __device__ void load(const bf16* from, int64_t row_stride, int count, const AttentionArgs& a, bf16* to) {
    constexpr int kPacks = kDim / 8, kAtOnce = kThreads / kPacks;  // rows
    const bool vectors = a.dim % 8 == 0;
    const int d = static_cast<int>(threadIdx.x) % kPacks * 8;
    int row = static_cast<int>(threadIdx.x) / kPacks;
    from += row * row_stride + d;
#pragma unroll 4
    for (int n = 0; n < kTile / kAtOnce; ++n, row += kAtOnce, from += kAtOnce * row_stride) {
      bf16* const place = to + row * kPitch + d;
      const int width = row < count ? a.dim - d : 0;
      if (vectors && width > 0) {
        cuda::copy_async16(place, from);
        continue;
      }
      cuda::Vector<uint16_t, 8> pack{};
      for (int e = 0; e < 8 && e < width; ++e) pack.v[e] = from[e].bits;
      cuda::store_vector(reinterpret_cast<uint16_t*>(place), pack);
    }
  }
  static __device__ void arrive() {
    cuda::copy_async_commit();
    cuda::copy_async_wait<0>();
  }
};

// The 16 own tokens of a warp as left factors.
template <class R>
class OwnFactors {
 public:
  __device__ explicit OwnFactors(const bf16* tile) {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    place_ = tile + (16 * warp + lane % 16) * R::kPitch + lane / 16 * 8;
    if constexpr (R::kHeld) {
#pragma unroll
      for (int k = 0; k < R::kSteps; ++k) cuda::load_matrices(held_[k], place_ + 16 * k);
    }
  }
  // s = own . other^T for N other tokens from `other` on, rows of a tile.
  template <int N>
  __device__ void products(const bf16* other, float (&s)[N][4]) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    other += (lane / 16 * 8 + lane % 8) * R::kPitch + lane / 8 % 2 * 8;
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) s[n][i] = 0;
#pragma unroll 4
    for (int k = 0; k < R::kSteps; ++k) {
      uint32_t own[4];
      if constexpr (!R::kHeld) cuda::load_matrices(own, place_ + 16 * k);
#pragma unroll
      for (int n = 0; n < N; n += 2) {
        uint32_t r[4];
        cuda::load_matrices(r, other + 8 * n * R::kPitch + 16 * k);
        const uint32_t first[2] = {r[0], r[1]}, second[2] = {r[2], r[3]};
        if constexpr (R::kHeld) {
          cuda::mma_bf16(s[n], held_[k], first);
          cuda::mma_bf16(s[n + 1], held_[k], second);
        } else {
          cuda::mma_bf16(s[n], own, first);
          cuda::mma_bf16(s[n + 1], own, second);
        }
      }
    }
  }

 private:
  const bf16* place_;
  uint32_t held_[R::kHeld ? R::kSteps : 1][4];
};

// sum += w . other, `w` rounded, over 8 N other tokens from `other` on, rows of a tile.
template <class R, int N>
__device__ void accumulate(const float (&w)[N][4], const bf16* other, typename R::Sums& sum) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  other += lane % 16 * R::kPitch + lane / 16 * 8;
#pragma unroll
  for (int k = 0; k < N; k += 2) {
    const uint32_t own[4] = {cuda::pack_bf16(w[k][0], w[k][1]), cuda::pack_bf16(w[k][2], w[k][3]),
                             cuda::pack_bf16(w[k + 1][0], w[k + 1][1]), cuda::pack_bf16(w[k + 1][2], w[k + 1][3])};
#pragma unroll
    for (int d = 0; d < R::kDim / 8; d += 2) {
      uint32_t r[4];
      cuda::load_matrices_transposed(r, other + 8 * k * R::kPitch + 8 * d);
      const uint32_t first[2] = {r[0], r[1]}, second[2] = {r[2], r[3]};
      cuda::mma_bf16(sum[d], own, first);
      cuda::mma_bf16(sum[d + 1], own, second);
    }
  }
}

// A result, or one of the forward pass: f32 or bf16.
struct Stored {
  void* data;
  bool low;
};
inline Stored stored(void* data, const TensorSpec& spec) { return {data, spec.dtype == DType::BF16}; }

template <class R, class T>
__device__ void write_row_of(const typename R::Sums& sum, int r, float factor, int dim, T* to) {
  const int column = static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
  for (int n = 0; n < R::kDim / 8; ++n) {
    const int d = 8 * n + column;
    const cuda::Vector<float, 2> x{{sum[n][2 * r] * factor, sum[n][2 * r + 1] * factor}};
    if (dim % 2 == 0) {
      if (d < dim) cuda::store_floats(to + d, x);
    } else {
      if (d < dim) to[d] = cuda::from_float<T>(x.v[0]);
      if (d + 1 < dim) to[d + 1] = cuda::from_float<T>(x.v[1]);
    }
  }
}
// Row r of a thread, 0 or 1, times `factor`: a.dim elements from element `at` on.
template <class R>
__device__ void write_row(const typename R::Sums& sum, int r, float factor, const AttentionArgs& a, const Stored& to,
                          int64_t at) {
  if (to.low)
    write_row_of<R>(sum, r, factor, a.dim, static_cast<bf16*>(to.data) + at);
  else
    write_row_of<R>(sum, r, factor, a.dim, static_cast<float*>(to.data) + at);
}

// Zeros in the rows of a tile of dead rows, `width` elements each; row t of `to` is at t * row_stride.
template <class R, class T>
__device__ void clear_rows(const OwnTile& t, int64_t row_stride, int width, T* to) {
  const int rows = t.length - t.first < R::kTile ? t.length - t.first : R::kTile;
  for (int i = static_cast<int>(threadIdx.x); i < rows * width; i += R::kThreads)
    to[(t.begin + t.first + i / width) * row_stride + i % width] = T{};
}
template <class R>
__device__ void clear_rows(const OwnTile& t, int64_t row_stride, int width, const Stored& to, int64_t at) {
  if (to.low)
    clear_rows<R>(t, row_stride, width, static_cast<bf16*>(to.data) + at);
  else
    clear_rows<R>(t, row_stride, width, static_cast<float*>(to.data) + at);
}

template <class F>
__device__ float across_quad(float value, F f) {  // over the threads of the same own tokens
  value = f(value, __shfl_xor_sync(cuda::kAllLanes, value, 1));
  return f(value, __shfl_xor_sync(cuda::kAllLanes, value, 2));
}

}  // namespace winnow::detail
