// Stable least-significant-digit radix sort of n (key, payload) pairs of `bits` key bits, which fix all sizes.
// Launches:
//   n <= 4,096      1: a block, with the pairs in shared memory
//   n <= 131,072    2 for each digit of at most 10 bits: a histogram of every tile; the scatter, whose blocks add up
//                   what the tiles before them have
//   more            3 for each digit of at most 8 bits: those sums are a launch of their own
// The first launch also makes the pairs.
//
//   prepare: RadixSort(n, bits).scratch_bytes()
//   run:     const uint2* sorted = sort.run(call, source, pairs, other, scratch);   // x: key, y: payload
//
// A source is called once for each i < n:
//   struct Source {
//     struct Shared { .. };                                        // a block's own copy of what many pairs need
//     __device__ void stage(Shared& to) const;                     // by all threads; a barrier follows
//     __device__ uint2 pair(const Shared& from, unsigned i) const;
//   };
#pragma once
#include "core/cuda/kernel.h"
#include "core/cuda/scan.h"
#include "core/cuda/vector.h"

namespace winnow::cuda {

constexpr unsigned kSortThreads = 256, kSortWarps = kSortThreads / 32, kSortItems = 8;
constexpr unsigned kSortTile = kSortThreads * kSortItems, kFewSortTiles = 64;
constexpr unsigned kBlockSortThreads = 512, kBlockSortWarps = kBlockSortThreads / 32;
constexpr unsigned kBlockSortMost = kBlockSortThreads * kSortItems;

struct Digit {
  int shift, bits;
  __host__ __device__ unsigned buckets() const { return bits < 2 ? 4 : 1u << bits; }  // whole vectors of four
  __device__ unsigned of(unsigned key) const { return key >> shift & ((1u << bits) - 1); }
};
// A key's bits as the fewest digits of at most `most` bits, the widest first.
struct Digits {
  int bits, digits;
  __host__ __device__ Digits(int bits_, int most) : bits(bits_), digits((bits_ + most - 1) / most) {}
  __host__ __device__ Digit first() const { return {0, (bits + digits - 1) / digits}; }
  __host__ __device__ Digit after(Digit d, int left) const {  // left: digits behind d
    const int shift = d.shift + d.bits;
    return {shift, (bits - shift + left - 1) / left};
  }
};

// Pairs that lie in memory.
struct PairsInMemory {
  struct Shared {};
  const uint2* pairs;
  __device__ void stage(Shared&) const {}
  __device__ uint2 pair(const Shared&, unsigned i) const { return pairs[i]; }
};

// counts [tiles, buckets] where there are few tiles, else [buckets, tiles]
template <bool kFew, class Source>
__global__ void __launch_bounds__(kSortThreads)
    count_digits(const __grid_constant__ Source source, unsigned n, Digit digit, unsigned* counts, uint2* pairs) {
  WN_SHARED(unsigned, count, [kFew ? 1024 : 256]);
  WN_SHARED(typename Source::Shared, staged, [1]);
  const unsigned buckets = digit.buckets(), first = blockIdx.x * kSortTile + threadIdx.x;
  for (unsigned b = threadIdx.x; b < buckets; b += kSortThreads) count[b] = 0;
  source.stage(staged[0]);
  __syncthreads();
  uint2 made[kSortItems];  // all loads before the first store
#pragma unroll
  for (unsigned r = 0; r < kSortItems; ++r) {
    const unsigned i = first + r * kSortThreads;
    made[r] = i < n ? source.pair(staged[0], i) : make_uint2(0, 0);
  }
#pragma unroll
  for (unsigned r = 0; r < kSortItems; ++r)
    if (const unsigned i = first + r * kSortThreads; i < n) {
      if constexpr (!std::is_same_v<Source, PairsInMemory>) pairs[i] = made[r];
      atomicAdd(&count[digit.of(made[r].x)], 1u);
    }
  __syncthreads();
  for (unsigned b = threadIdx.x; b < buckets; b += kSortThreads)
    counts[kFew ? blockIdx.x * buckets + b : b * gridDim.x + blockIdx.x] = count[b];
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

// A warp takes 32 * kSortItems pairs in a row, from `first` - lane on, and ranks them within their digit, 32 at a time.
// next: the warp's counters, which are left at the number of its pairs in each bucket.
template <class Count>
__device__ void rank_pairs(const uint2 (&pairs)[kSortItems], unsigned first, unsigned n, Digit digit, Count* next,
                           unsigned (&ranks)[kSortItems]) {
  const unsigned lane = threadIdx.x % 32;
  for (unsigned b = lane; b < digit.buckets(); b += 32) next[b] = 0;
  __syncwarp();
#pragma unroll
  for (unsigned r = 0; r < kSortItems; ++r) {
    const bool exists = first + r * 32 < n;
    const unsigned d = digit.of(pairs[r].x), alike = lanes_alike(d, digit.bits, exists);
    const unsigned before = next[d];
    ranks[r] = before + static_cast<unsigned>(__popc(alike & ((1u << lane) - 1)));
    __syncwarp();
    if (exists && static_cast<unsigned>(__ffs(static_cast<int>(alike))) == lane + 1)
      next[d] = static_cast<Count>(before + static_cast<unsigned>(__popc(alike)));
    __syncwarp();
  }
}

// A thread has the buckets from kEach threadIdx.x on: how many pairs each has in the tiles before this one, and in all.
template <bool kFew, int kEach>
struct BucketCounts {
  Vector<unsigned, kEach> before{}, all{};
  __device__ BucketCounts(unsigned buckets, const unsigned* counts, const unsigned* totals) {
    const unsigned first = threadIdx.x * kEach;
    if (first >= buckets) return;
    if constexpr (kFew) {
#pragma unroll 16
      for (unsigned tile = 0; tile < gridDim.x; ++tile) {
        const auto count = load_vector<kEach>(counts + tile * buckets + first);
        for (int e = 0; e < kEach; ++e) {
          all.v[e] += count.v[e];
          if (tile < blockIdx.x) before.v[e] += count.v[e];
        }
      }
    } else {
      static_assert(kEach == 1);
      before.v[0] = counts[first * gridDim.x + blockIdx.x];
      all.v[0] = totals[first];
    }
  }
};

template <bool kFew>
__global__ void __launch_bounds__(kSortThreads) scatter_digits(const uint2* from, uint2* to, unsigned n, Digit digit,
                                                               const unsigned* counts, const unsigned* totals) {
  constexpr int kEach = kFew ? 4 : 1;
  WN_SHARED(unsigned, next, [kSortWarps][kEach * kSortThreads]);
  WN_SHARED(unsigned, parts, [33]);
  const unsigned warp = threadIdx.x / 32, first = blockIdx.x * kSortTile + warp * 32 * kSortItems + threadIdx.x % 32;
  uint2 pairs[kSortItems];
  unsigned ranks[kSortItems];
#pragma unroll
  for (unsigned r = 0; r < kSortItems; ++r) pairs[r] = first + r * 32 < n ? from[first + r * 32] : make_uint2(0, 0);
  const BucketCounts<kFew, kEach> of_bucket(digit.buckets(), counts, totals);
  rank_pairs(pairs, first, n, digit, next[warp], ranks);
  unsigned sum = 0;
  for (int e = 0; e < kEach; ++e) sum += of_bucket.all.v[e];
  unsigned begin = block_scan(sum, parts).before;  // its barrier also ends the ranking
  for (int e = 0; e < kEach; ++e) {
    const unsigned bucket = threadIdx.x * kEach + static_cast<unsigned>(e);
    if (bucket >= digit.buckets()) break;
    unsigned at = begin + of_bucket.before.v[e];
    begin += of_bucket.all.v[e];
    for (unsigned w = 0; w < kSortWarps; ++w) {
      const unsigned count = next[w][bucket];
      next[w][bucket] = at;
      at += count;
    }
  }
  __syncthreads();
#pragma unroll
  for (unsigned r = 0; r < kSortItems; ++r)
    if (first + r * 32 < n) to[next[warp][digit.of(pairs[r].x)] + ranks[r]] = pairs[r];
}

// One block.
template <class Source>
__global__ void __launch_bounds__(kBlockSortThreads)
    sort_in_block(const __grid_constant__ Source source, unsigned n, Digits digits, uint2* to) {
  WN_SHARED(uint2, tile, [kBlockSortMost]);
  WN_SHARED(uint16_t, next, [kBlockSortWarps][256]);
  WN_SHARED(unsigned, parts, [33]);
  WN_SHARED(typename Source::Shared, staged, [1]);
  const unsigned warp = threadIdx.x / 32, first = warp * 32 * kSortItems + threadIdx.x % 32;
  source.stage(staged[0]);
  __syncthreads();
  uint2 pairs[kSortItems];
#pragma unroll
  for (unsigned r = 0; r < kSortItems; ++r)
    pairs[r] = first + r * 32 < n ? source.pair(staged[0], first + r * 32) : make_uint2(0, 0);
  Digit digit = digits.first();
  for (int left = digits.digits - 1;; --left) {
    unsigned ranks[kSortItems];
    rank_pairs(pairs, first, n, digit, next[warp], ranks);
    __syncthreads();
    const bool bucket = threadIdx.x < digit.buckets();
    unsigned count = 0;
    if (bucket)
      for (unsigned w = 0; w < kBlockSortWarps; ++w) count += next[w][threadIdx.x];
    unsigned at = block_scan(count, parts).before;
    if (bucket)
      for (unsigned w = 0; w < kBlockSortWarps; ++w) {
        count = next[w][threadIdx.x];
        next[w][threadIdx.x] = static_cast<uint16_t>(at);
        at += count;
      }
    __syncthreads();
    uint2* const sorted = left == 0 ? to : &tile[0];
#pragma unroll
    for (unsigned r = 0; r < kSortItems; ++r)
      if (first + r * 32 < n) sorted[next[warp][digit.of(pairs[r].x)] + ranks[r]] = pairs[r];
    if (left == 0) return;
    __syncthreads();
#pragma unroll
    for (unsigned r = 0; r < kSortItems; ++r)
      if (first + r * 32 < n) pairs[r] = tile[first + r * 32];
    digit = digits.after(digit, left);
  }
}

class RadixSort {
 public:
  RadixSort(int64_t n, int key_bits)
      : n_(static_cast<unsigned>(n)),
        tiles_((n_ + kSortTile - 1) / kSortTile),
        digits_(key_bits < 1 ? 1 : key_bits, few() && n_ > kBlockSortMost ? 10 : 8) {}
  size_t scratch_bytes() const {  // totals, counts of each tile
    return n_ <= kBlockSortMost ? 0 : (256 + size_t{tiles_} * digits_.first().buckets()) * sizeof(unsigned);
  }
  // pairs and other: n each; both are written. Returns the one that holds the result.
  template <class Source>
  uint2* run(const Call& c, const Source& source, uint2* pairs, uint2* other, void* scratch) const {
    if (n_ == 0) return pairs;
    if (n_ <= kBlockSortMost) {
      cuda::run(c, sort_in_block<Source>, 1, kBlockSortThreads, 0, source, n_, digits_, pairs);
      return pairs;
    }
    return few() ? sort<true>(c, source, pairs, other, scratch) : sort<false>(c, source, pairs, other, scratch);
  }

 private:
  bool few() const { return tiles_ <= kFewSortTiles; }
  template <bool kFew, class Source>
  uint2* sort(const Call& c, const Source& source, uint2* pairs, uint2* other, void* scratch) const {
    auto *const totals = static_cast<unsigned*>(scratch), *const counts = totals + 256;
    Digit digit = digits_.first();
    for (int left = digits_.digits - 1;; --left) {
      if (left == digits_.digits - 1)
        cuda::run(c, count_digits<kFew, Source>, tiles_, kSortThreads, 0, source, n_, digit, counts, pairs);
      else
        cuda::run(c, count_digits<kFew, PairsInMemory>, tiles_, kSortThreads, 0, PairsInMemory{pairs}, n_, digit,
                  counts, nullptr);
      if (!kFew) cuda::run(c, sum_tiles<>, digit.buckets(), kSortThreads, 0, tiles_, counts, totals);
      cuda::run(c, scatter_digits<kFew>, tiles_, kSortThreads, 0, pairs, other, n_, digit, counts, totals);
      std::swap(pairs, other);
      if (left == 0) return pairs;
      digit = digits_.after(digit, left);
    }
  }

  unsigned n_, tiles_;
  Digits digits_;
};

}  // namespace winnow::cuda
