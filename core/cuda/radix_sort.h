// Stable least-significant-digit radix sort of (key, payload) pairs: for each digit of at most 8 bits a histogram of
// every tile, sums over the tiles, and the scatter. Three launches a digit; n and the number of key bits fix all sizes.
//
//   prepare: RadixSort(n, bits).scratch_bytes()
//   run:     const uint2* sorted = sort.run(call, pairs, other, scratch);   // x: key, y: payload
#pragma once
#include "core/cuda/kernel.h"
#include "core/cuda/scan.h"

namespace winnow::cuda {

constexpr unsigned kSortThreads = 256, kSortWarps = kSortThreads / 32, kSortItems = 8;
constexpr unsigned kSortTile = kSortThreads * kSortItems, kSortBuckets = 256;

struct Digit {
  int shift, bits;
  __device__ unsigned of(unsigned key) const { return key >> shift & ((1u << bits) - 1); }
  unsigned buckets() const { return 1u << bits; }
};

// counts [buckets, tiles]
template <class Unused = void>
__global__ void __launch_bounds__(kSortThreads)
    count_digits(const uint2* pairs, unsigned n, Digit digit, unsigned* counts) {
  WN_SHARED(unsigned, count, [kSortBuckets]);
  count[threadIdx.x] = 0;
  __syncthreads();
  const unsigned first = blockIdx.x * kSortTile + threadIdx.x;
#pragma unroll
  for (unsigned r = 0; r < kSortItems; ++r)
    if (const unsigned i = first + r * kSortThreads; i < n) atomicAdd(&count[digit.of(pairs[i].x)], 1u);
  __syncthreads();
  if (threadIdx.x < 1u << digit.bits) counts[threadIdx.x * gridDim.x + blockIdx.x] = count[threadIdx.x];
}

// Block: a bucket. Its counts become the sums of those in front of them; totals [buckets].
template <class Unused = void>
__global__ void __launch_bounds__(kSortThreads) sum_tiles(unsigned tiles, unsigned* counts, unsigned* totals) {
  WN_SHARED(unsigned, parts, [33]);
  unsigned* const row = counts + blockIdx.x * tiles;
  unsigned before = 0;
  for (unsigned first = 0; first < tiles; first += kSortThreads) {
    const unsigned i = first + threadIdx.x;
    const Scanned<unsigned> sum = block_scan(i < tiles ? row[i] : 0u, parts);
    if (i < tiles) row[i] = before + sum.before;
    before += sum.total;
  }
  if (threadIdx.x == 0) totals[blockIdx.x] = before;
}

// The lanes whose digit is this lane's.
__device__ inline unsigned lanes_alike(unsigned digit, int bits, bool exists) {
  unsigned alike = __ballot_sync(kAllLanes, exists);
  for (int b = 0; b < bits; ++b) {
    const bool one = (digit >> b & 1) != 0;
    const unsigned ones = __ballot_sync(kAllLanes, one);
    alike &= one ? ones : ~ones;
  }
  return alike;
}

// A warp takes 32 * kSortItems pairs in a row and ranks them within their digit, 32 at a time.
template <class Unused = void>
__global__ void __launch_bounds__(kSortThreads) scatter_digits(const uint2* from, uint2* to, unsigned n, Digit digit,
                                                               const unsigned* counts, const unsigned* totals) {
  WN_SHARED(unsigned, next, [kSortWarps][kSortBuckets]);
  WN_SHARED(unsigned, parts, [33]);
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, buckets = 1u << digit.bits;
  for (unsigned w = 0; w < kSortWarps; ++w) next[w][threadIdx.x] = 0;
  __syncthreads();
  const unsigned first = blockIdx.x * kSortTile + warp * 32 * kSortItems + lane;
  uint2 pairs[kSortItems];
  unsigned ranks[kSortItems];
#pragma unroll
  for (unsigned r = 0; r < kSortItems; ++r) {
    const unsigned i = first + r * 32;
    pairs[r] = i < n ? from[i] : make_uint2(0, 0);
  }
#pragma unroll
  for (unsigned r = 0; r < kSortItems; ++r) {
    const bool exists = first + r * 32 < n;
    const unsigned d = digit.of(pairs[r].x), alike = lanes_alike(d, digit.bits, exists);
    const unsigned before = next[warp][d];
    ranks[r] = before + static_cast<unsigned>(__popc(alike & ((1u << lane) - 1)));
    __syncwarp();
    if (exists && static_cast<unsigned>(__ffs(static_cast<int>(alike))) == lane + 1)
      next[warp][d] = before + static_cast<unsigned>(__popc(alike));
    __syncwarp();
  }
  const bool bucket = threadIdx.x < buckets;
  unsigned at = block_scan(bucket ? totals[threadIdx.x] : 0u, parts).before;  // its barrier also ends the ranking
  if (bucket) {
    at += counts[threadIdx.x * gridDim.x + blockIdx.x];
    for (unsigned w = 0; w < kSortWarps; ++w) {
      const unsigned count = next[w][threadIdx.x];
      next[w][threadIdx.x] = at;
      at += count;
    }
  }
  __syncthreads();
#pragma unroll
  for (unsigned r = 0; r < kSortItems; ++r)
    if (first + r * 32 < n) to[next[warp][digit.of(pairs[r].x)] + ranks[r]] = pairs[r];
}

class RadixSort {
 public:
  RadixSort(int64_t n, int key_bits)
      : n_(static_cast<unsigned>(n)),
        tiles_((n_ + kSortTile - 1) / kSortTile),
        bits_(key_bits < 1 ? 1 : key_bits),
        passes_((bits_ + 7) / 8) {}
  size_t scratch_bytes() const { return (size_t{tiles_} + 1) * kSortBuckets * sizeof(unsigned); }
  // pairs and other: n each; both are written. Returns the one that holds the result.
  uint2* run(const Call& c, uint2* pairs, uint2* other, void* scratch) const {
    auto *const totals = static_cast<unsigned*>(scratch), *const counts = totals + kSortBuckets;
    if (n_ == 0) return pairs;
    for (int pass = 0, shift = 0; pass < passes_; ++pass) {
      const Digit digit{shift, (bits_ - shift + passes_ - pass - 1) / (passes_ - pass)};
      cuda::run(c, count_digits<>, tiles_, kSortThreads, 0, pairs, n_, digit, counts);
      cuda::run(c, sum_tiles<>, digit.buckets(), kSortThreads, 0, tiles_, counts, totals);
      cuda::run(c, scatter_digits<>, tiles_, kSortThreads, 0, pairs, other, n_, digit, counts, totals);
      std::swap(pairs, other);
      shift += digit.bits;
    }
    return pairs;
  }

 private:
  unsigned n_, tiles_;
  int bits_, passes_;
};

}  // namespace winnow::cuda
