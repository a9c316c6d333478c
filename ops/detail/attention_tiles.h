// What the CUDA kernels of jagged attention share: which tile a block has, and products of tiles in shared memory.
//
// A block has a tile of `kTile` tokens of one sequence and one head (its own), and walks over tiles of the others. Own
// tokens are queries or, for the gradients of keys and values, keys. Products are plain f32 fused multiply-adds: thread
// (tx, ty) has own tokens ty R .. ty R + R - 1 and other tokens 4 tx .. 4 tx + 3, so that R + 4 loads of 16 bytes serve
// 16 R multiply-adds.
#pragma once
#include "core/cuda/kernel.h"
#include "core/cuda/ptx.h"
#include "core/cuda/reduce.h"
#include "ops/detail/attention_spec.h"

namespace winnow::detail {

constexpr int kWidestHead = 128;

struct AttentionArgs {
  const float *qkv, *bias;
  const int64_t *offsets, *step;
  int64_t tokens;
  int sequences, heads, dim, reach;
  float scale, keep_scale;
  int32_t threshold;
  bool causal, vectors;  // vectors: a head's rows start at 16 bytes
  Philox philox;

  AttentionArgs(const AttentionSpec& s, const Call& c)
      : qkv(c.in<float>(s.first)),
        bias(s.has_bias ? c.in<float>(s.bias) : nullptr),
        offsets(c.in<int64_t>(s.first + 1)),
        step(s.step >= 0 ? c.in<int64_t>(s.step) : nullptr),
        tokens(s.tokens),
        sequences(static_cast<int>(s.sequences)),
        heads(static_cast<int>(s.heads)),
        dim(static_cast<int>(s.dim)),
        reach(static_cast<int>(s.reach)),
        scale(static_cast<float>(s.scale)),
        keep_scale(static_cast<float>(s.keep_scale)),
        threshold(s.threshold),
        causal(s.causal),
        vectors(s.dim % 4 == 0),
        philox(s.philox) {}

  __device__ int64_t hidden() const { return int64_t{heads} * dim; }
  // The start of part i, of sequences + 2: rows before the first sequence, the sequences, rows behind the last.
  __device__ int64_t start_of(int i) const {
    if (i == 0) return 0;
    if (i > sequences + 1) return tokens;
    const int64_t row = offsets[i - 1];
    return row < 0 ? 0 : row > tokens ? tokens : row;
  }
};

// Tiles of all parts, an upper bound: part i, which starts at row r, has its tiles from number r / tile + i on. They
// are enough for its rows, so that a block finds its part by a search over offsets alone.
inline int64_t attention_tiles(const AttentionSpec& s, int64_t tile) { return s.tokens / tile + s.sequences + 2; }

struct OwnTile {
  int part = 0;  // 0 and sequences + 1: dead rows
  int64_t begin = 0;
  int length = 0, first = 0;  // tokens of the sequence; the tile's first one
};
// By all lanes of each warp, 32 places at a time. Nothing here trusts the offsets.
template <int kTile>
__device__ OwnTile own_tile(const AttentionArgs& a) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t number = blockIdx.x;
  int part = 0, among = a.sequences + 2;
  while (among > 1) {
    const int stride = (among + 31) / 32, probe = lane * stride;
    const bool before = lane == 0 || (probe < among && a.start_of(part + probe) / kTile + part + probe <= number);
    const int passed = __popc(__ballot_sync(cuda::kAllLanes, before)) - 1;
    part += passed * stride;
    among = among - passed * stride < stride ? among - passed * stride : stride;
  }
  const int64_t begin = a.start_of(part), end = a.start_of(part + 1);
  const int64_t first = (number - begin / kTile - part) * kTile;
  if (first < 0 || begin + first >= end) return {part, begin, 0, 0};
  return {part, begin, static_cast<int>(end - begin), static_cast<int>(first)};
}

template <int kTile_, int kDim_>
struct Attention {
  static constexpr int kTile = kTile_, kDim = kDim_;
  static constexpr int kRows = kTile == 64 && kDim <= 64 ? 8 : 4;                   // own tokens of a thread
  static constexpr int kAcross = kTile / 4, kDown = kTile / kRows;                  // threads
  static constexpr int kThreads = kAcross * kDown, kColumns = kDim / kAcross;       // kColumns: of a thread, of kDim
  static constexpr int kPitch = kDim + 4, kWeightPitch = kTile + 4;                 // rows fall into different banks
  static constexpr int kVectors = kTile * kPitch, kWeights = kTile * kWeightPitch;  // floats of a tile
  // Blocks a multiprocessor should hold, forward and backward: what registers and shared memory allow without spills.
  static constexpr int kBlocks = kThreads == 64 ? 8 : kThreads == 128 ? 3 : 2;
  static constexpr int kGradientBlocks = kThreads == 64 ? 5 : kThreads == 256 ? 1 : kDim == 64 ? 2 : 3;
  static_assert(kAcross <= 32 && kColumns >= 1 && kThreads % 32 == 0);

  int tx = 0, ty = 0;
  static __device__ Attention of_thread() {
    Attention a;
    a.tx = static_cast<int>(threadIdx.x) % kAcross;
    a.ty = static_cast<int>(threadIdx.x) / kAcross;
    return a;
  }

  // Where the rows of tokens lie: those of neighbouring threads side by side.
  static __device__ int own_place(int i) { return i % kRows * kDown + i / kRows; }
  static __device__ int other_place(int j) { return j % 4 * kAcross + j / 4; }

  // `count` rows of dim floats each, zeros up to kTile and kDim; there after arrive() and a barrier.
  template <bool kOwn>
  static __device__ void load(const float* from, int64_t row_stride, int count, const AttentionArgs& a, float* to) {
    constexpr int kAtOnce = kThreads / (kDim / 4);  // rows
    const int d = static_cast<int>(threadIdx.x) % (kDim / 4) * 4;
    int row = static_cast<int>(threadIdx.x) / (kDim / 4);
    from += row * row_stride + d;
#pragma unroll 4
    for (int n = 0; n < kTile / kAtOnce; ++n, row += kAtOnce, from += kAtOnce * row_stride) {
      float* const place = to + (kOwn ? own_place(row) : other_place(row)) * kPitch + d;
      const int width = row < count ? a.dim - d : 0;
      if (a.vectors && width > 0)
        cuda::copy_async16(place, from);
      else
        *reinterpret_cast<float4*>(place) = make_float4(width > 0 ? from[0] : 0, width > 1 ? from[1] : 0,
                                                        width > 2 ? from[2] : 0, width > 3 ? from[3] : 0);
    }
  }
  static __device__ void arrive() {
    cuda::copy_async_commit();
    cuda::copy_async_wait<0>();
  }

  // s[r][c] = own token r . other token c
  __device__ void products(const float* own, const float* other, float (&s)[kRows][4]) const {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
      for (int c = 0; c < 4; ++c) s[r][c] = 0;
#pragma unroll 1
    for (int d = 0; d < kDim; d += 4) {
      float4 b[4];
#pragma unroll
      for (int c = 0; c < 4; ++c) b[c] = *reinterpret_cast<const float4*>(other + (c * kAcross + tx) * kPitch + d);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const float4 x = *reinterpret_cast<const float4*>(own + (r * kDown + ty) * kPitch + d);
#pragma unroll
        for (int c = 0; c < 4; ++c) {
          s[r][c] = fmaf(x.x, b[c].x, s[r][c]);
          s[r][c] = fmaf(x.y, b[c].y, s[r][c]);
          s[r][c] = fmaf(x.z, b[c].z, s[r][c]);
          s[r][c] = fmaf(x.w, b[c].w, s[r][c]);
        }
      }
    }
  }

  __device__ void put(const float (&w)[kRows][4], float* weights) const {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
      *reinterpret_cast<float4*>(weights + (r * kDown + ty) * kWeightPitch + 4 * tx) =
          make_float4(w[r][0], w[r][1], w[r][2], w[r][3]);
  }

  // Column c of a thread.
  __device__ int column(int c) const {
    return kColumns >= 4 ? c / 4 * 4 * kAcross + 4 * tx + c % 4 : kColumns * tx + c;
  }
  __device__ void row_of(const float* row, float (&v)[kColumns]) const {
    if constexpr (kColumns >= 4) {
#pragma unroll
      for (int c = 0; c < kColumns; c += 4) {
        const float4 x = *reinterpret_cast<const float4*>(row + column(c));
        v[c] = x.x, v[c + 1] = x.y, v[c + 2] = x.z, v[c + 3] = x.w;
      }
    } else if constexpr (kColumns == 2) {
      const float2 x = *reinterpret_cast<const float2*>(row + column(0));
      v[0] = x.x, v[1] = x.y;
    } else {
      v[0] = row[column(0)];
    }
  }

  // sum[r] += weights of own token r, over the first `count` other tokens, times their rows
  __device__ void accumulate(const float* weights, const float* other, int count, float (&sum)[kRows][kColumns]) const {
#pragma unroll 1
    for (int j = 0; j < count; j += 4) {
      float4 w[kRows];
#pragma unroll
      for (int r = 0; r < kRows; ++r)
        w[r] = *reinterpret_cast<const float4*>(weights + (r * kDown + ty) * kWeightPitch + j);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        float v[kColumns];
        row_of(other + (e * kAcross + j / 4) * kPitch, v);
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          const float x = e == 0 ? w[r].x : e == 1 ? w[r].y : e == 2 ? w[r].z : w[r].w;
#pragma unroll
          for (int c = 0; c < kColumns; ++c) sum[r][c] = fmaf(x, v[c], sum[r][c]);
        }
      }
    }
  }

  // Row of own token r times `factor` to `to`, dim floats.
  __device__ void write(const float (&sum)[kColumns], float factor, const AttentionArgs& a, float* to) const {
    if constexpr (kColumns >= 4) {
      if (a.vectors) {
#pragma unroll
        for (int c = 0; c < kColumns; c += 4)
          if (column(c) < a.dim)
            *reinterpret_cast<float4*>(to + column(c)) =
                make_float4(sum[c] * factor, sum[c + 1] * factor, sum[c + 2] * factor, sum[c + 3] * factor);
        return;
      }
    }
#pragma unroll
    for (int c = 0; c < kColumns; ++c)
      if (column(c) < a.dim) to[column(c)] = sum[c] * factor;
  }

  // Zeros in the rows of a tile of dead rows; row t of `to` is at t * row_stride.
  static __device__ void clear(const OwnTile& t, int64_t row_stride, int width, float* to) {
    const int rows = t.length - t.first < kTile ? t.length - t.first : kTile;
    for (int i = static_cast<int>(threadIdx.x); i < rows * width; i += kThreads)
      to[(t.begin + t.first + i / width) * row_stride + i % width] = 0;
  }

  template <class F>
  __device__ float across(float value, F f) const {  // over the threads of the same own tokens
#pragma unroll
    for (int distance = kAcross / 2; distance > 0; distance /= 2)
      value = f(value, __shfl_xor_sync(cuda::kAllLanes, value, distance));
    return value;
  }
};

}  // namespace winnow::detail
