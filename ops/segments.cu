// embedding_segments: a (row, position) pair for every id, sorted by row; then the heads of equal rows are counted tile
// by tile and the segments written. Each step streams a few bytes an id: launches bound it at usual batch sizes. There
// are those of core/cuda/radix_sort.h and two more, one where the sort is a single block; a lookup of one id a bag and
// at most 128 features makes its pairs in the sort's first launch, others in one or two launches for each use.
#include <bit>

#include "core/cuda/radix_sort.h"
#include "ops/detail/device_bags.h"
#include "ops/detail/occurrences.h"

namespace winnow {
namespace {

using cuda::BagOfLanes, cuda::BagTable, cuda::SegmentArrays;

constexpr unsigned kThreads = 256, kRounds = 8, kTile = kThreads * kRounds;
constexpr unsigned kBagLanes = 3;  // 2^3 lanes a bag of many ids

// One use of the table, in the concatenation of all. bag and coef: of each position; not written where plain.
struct Entries {
  unsigned none;
  bool plain;
  int32_t first_bag;
  unsigned first_position;
  uint2* pairs;
  int32_t* bag;
  float* coef;

  __device__ void put(int64_t k, int64_t of_bag, int64_t row, float weight) const {
    const unsigned position = first_position + static_cast<unsigned>(k);
    const unsigned global_bag = static_cast<unsigned>(first_bag + of_bag);
    pairs[position] = make_uint2(row >= 0 ? static_cast<unsigned>(row) : none, plain ? global_bag : position);
    if (plain) return;
    bag[position] = static_cast<int32_t>(global_bag);
    coef[position] = weight;
  }
};

__global__ void __launch_bounds__(kThreads) clear_entries(Entries e, unsigned capacity) {
  const unsigned k = blockIdx.x * kThreads + threadIdx.x;
  if (k < capacity) e.pairs[e.first_position + k] = make_uint2(e.none, 0);
}
// One id a bag: a thread each.
__global__ void __launch_bounds__(kThreads)
    write_ids(const __grid_constant__ BagTable t, BagData<float> in, Entries e) {
  const BagOfLanes at(t, 0);
  if (!at.exists) return;
  e.put(at.bag, at.bag, t.row(at.f, in.ids[at.bag]), in.weights != nullptr ? in.weights[at.bag] : 1.0f);
}
__global__ void __launch_bounds__(kThreads)
    write_bags(const __grid_constant__ BagTable t, BagData<float> in, Entries e) {
  constexpr int kLanes = 1 << kBagLanes;
  const BagOfLanes at(t, kBagLanes);
  const int lane = static_cast<int>(threadIdx.x % kLanes);
  const int64_t from = at.exists ? in.begin(at.bag) : 0, to = at.exists ? in.end(at.bag) : 0;
  float scale = 1;
  if (t.pool[at.f] == BagSpec::Mean) {  // of the whole warp
    int valid = 0;
    for (int64_t k = from + lane; k < to; k += kLanes) valid += t.row(at.f, in.ids[k]) >= 0;
    for (int distance = kLanes / 2; distance > 0; distance /= 2)
      valid += __shfl_xor_sync(cuda::kAllLanes, valid, distance);
    scale = 1.0f / static_cast<float>(valid > 1 ? valid : 1);
  }
  for (int64_t k = from + lane; k < to; k += kLanes)
    e.put(k, at.bag, t.row(at.f, in.ids[k]), in.weights != nullptr ? scale * in.weights[k] : scale);
}

// One id a bag of at most BagTable::kMost features: a position is its bag.
struct IdPairs {
  struct Shared {
    int64_t base[BagTable::kMost], rows[BagTable::kMost];
  };
  BagTable table;  // of all features
  const int64_t* ids;
  unsigned none;
  __device__ void stage(Shared& to) const {
    for (unsigned f = threadIdx.x; f < table.features; f += blockDim.x) {
      to.base[f] = table.base[f];
      to.rows[f] = table.rows[f];
    }
  }
  __device__ uint2 pair(const Shared& from, unsigned i) const {
    const unsigned f = i % table.features;
    const int64_t row = row_of_id(ids[i], from.base[f], from.rows[f], table.padding_id);
    return make_uint2(row >= 0 ? static_cast<unsigned>(row) : none, i);
  }
};

// Of a range of the sorted pairs: the heads of segments, and the occurrences that are not missing.
struct Found {
  unsigned heads = 0, valid = 0;
  __device__ void add(const uint2* sorted, unsigned i, unsigned none) {
    const unsigned key = sorted[i].x;
    valid += key != none;
    heads += key != none && (i == 0 || sorted[i - 1].x != key);
  }
};
__global__ void __launch_bounds__(kThreads) count_heads(const uint2* sorted, unsigned n, unsigned none, Found* tiles) {
  WN_SHARED(unsigned, parts, [33]);
  Found found;
#pragma unroll
  for (unsigned r = 0; r < kRounds; ++r)
    if (const unsigned i = blockIdx.x * kTile + r * kThreads + threadIdx.x; i < n) found.add(sorted, i, none);
  found.heads = cuda::block_reduce(found.heads, cuda::Sum(), parts);
  found.valid = cuda::block_reduce(found.valid, cuda::Sum(), parts);
  if (threadIdx.x == 0) tiles[blockIdx.x] = found;
}

// What a block knows of all tiles; from the pairs themselves where there is no list of tiles.
struct Totals {
  unsigned before = 0, unique = 0, valid = 0;  // before: heads in front of the block's tile
  __device__ Totals(const uint2* sorted, unsigned n, unsigned none, const Found* tiles, unsigned count) {
    WN_SHARED(unsigned, parts, [33]);
    const auto add = [&](const Found& found, unsigned tile) {
      before += tile < blockIdx.x ? found.heads : 0;
      unique += found.heads;
      valid += found.valid;
    };
    if (tiles != nullptr) {
      for (unsigned tile = threadIdx.x; tile < count; tile += kThreads) add(tiles[tile], tile);
    } else {
#pragma unroll 8
      for (unsigned i = threadIdx.x; i < n; i += kThreads) {
        Found found;
        found.add(sorted, i, none);
        add(found, i / kTile);
      }
    }
    before = cuda::block_reduce(before, cuda::Sum(), parts);
    unique = cuda::block_reduce(unique, cuda::Sum(), parts);
    valid = cuda::block_reduce(valid, cuda::Sum(), parts);
  }
};

// bag, coef: of each payload of a pair; null: the payload itself, 1.
struct Payload {
  const int32_t* bag;
  const float* coef;
};

// Everything of index i: its occurrence, the segment that starts there, or the filling behind the last of each. A warp
// takes 32 * kRounds in a row.
__global__ void __launch_bounds__(kThreads)
    write_segments(const uint2* sorted, unsigned n, unsigned none, Payload payload, const Found* tiles, unsigned count,
                   SegmentArrays out) {
  WN_SHARED(unsigned, parts, [33]);
  const Totals totals(sorted, n, none, tiles, count);
  const unsigned lane = threadIdx.x % 32, first = blockIdx.x * kTile + threadIdx.x / 32 * 32 * kRounds + lane;
  uint2 pairs[kRounds];
  unsigned heads[kRounds], of_warp = 0;
  int32_t bag[kRounds];
  float coef[kRounds];
#pragma unroll
  for (unsigned r = 0; r < kRounds; ++r) {
    const unsigned i = first + r * 32;
    const bool used = i < totals.valid;
    pairs[r] = used ? sorted[i] : make_uint2(none, 0);
    const unsigned last = used && i > 0 ? sorted[i - 1].x : none;
    heads[r] = __ballot_sync(cuda::kAllLanes, used && last != pairs[r].x);
    of_warp += static_cast<unsigned>(__popc(heads[r]));
    bag[r] = !used ? 0 : payload.bag == nullptr ? static_cast<int32_t>(pairs[r].y) : payload.bag[pairs[r].y];
    coef[r] = !used ? 0.0f : payload.coef == nullptr ? 1.0f : payload.coef[pairs[r].y];
  }
  unsigned k = totals.before + cuda::block_scan(lane == 31 ? of_warp : 0, parts).before;
#pragma unroll
  for (unsigned r = 0; r < kRounds; ++r) {
    const unsigned i = first + r * 32;
    if ((heads[r] >> lane & 1) != 0) {
      const unsigned segment = k + static_cast<unsigned>(__popc(heads[r] & ((1u << lane) - 1)));
      out.unique_rows[segment] = pairs[r].x;
      out.starts[segment] = static_cast<int32_t>(i);
    }
    k += static_cast<unsigned>(__popc(heads[r]));
    if (i < n) {
      out.bag[i] = bag[r];
      out.coef[i] = coef[r];
      if (out.position != nullptr) out.position[i] = static_cast<int32_t>(pairs[r].y);
      if (i >= totals.unique) out.unique_rows[i] = -1;
    }
    if (i <= n && i >= totals.unique) out.starts[i] = static_cast<int32_t>(totals.valid);
  }
  if (blockIdx.x == 0 && threadIdx.x == 0) *out.count = totals.unique;
}

cuda::RadixSort sort_of(const SegmentPlan& p) { return {p.n, static_cast<int>(std::bit_width(p.none))}; }

// The pairs of a plan with this one use are made by the sort.
bool sorts_ids(const SegmentPlan& p) {
  return p.uses.size() == 1 && !p.uses[0].bags.has_offsets && p.uses[0].bags.features <= BagTable::kMost;
}

// Scratch: two arrays of pairs, bag and coefficient of each position, what each tile has, the sort's own.
struct Work {
  uint2 *a, *b;
  int32_t* bag;
  float* coef;
  Found* tiles;
  char* sort;
  size_t bytes = 0;
  Work(const SegmentPlan& p, void* scratch) {
    const auto n = static_cast<size_t>(p.n);
    const auto take = [&]<class T>(T*& part, size_t count) {
      part = reinterpret_cast<T*>(static_cast<char*>(scratch) + bytes);
      bytes += (count * sizeof(T) + 63) / 64 * 64;
    };
    take(a, n);
    take(b, n);
    const bool arrays = !p.plain && !sorts_ids(p);
    take(bag, arrays ? n : 0);
    take(coef, arrays ? n : 0);
    take(tiles, n / kTile + 1);
    take(sort, sort_of(p).scratch_bytes());
  }
};

void write_entries(const Call& c, const SegmentPlan& p, const SegmentPlan::Use& use, const Work& w) {
  const BagData<float> in(c, use.bags, use.input);
  const Entries e{p.none, p.plain, static_cast<int32_t>(use.first_bag), static_cast<unsigned>(use.first_position), w.a,
                  w.bag,  w.coef};
  if (use.bags.has_offsets && use.bags.capacity > 0)  // positions that no bag covers
    cuda::run(c, clear_entries, cuda::grid(use.bags.capacity, kThreads, 1 << 30), kThreads, 0, e,
              static_cast<unsigned>(use.bags.capacity));
  if (use.bags.bags == 0) return;
  cuda::each_bag_table(use.bags, [&](const BagTable& t) {
    if (use.bags.has_offsets)
      cuda::run(c, write_bags, BagOfLanes::grid(t, kBagLanes, kThreads), kThreads, 0, t, in, e);
    else
      cuda::run(c, write_ids, BagOfLanes::grid(t, 0, kThreads), kThreads, 0, t, in, e);
  });
}

}  // namespace

size_t cuda::occurrence_scratch_bytes(const SegmentPlan& plan) {
  alignas(64) static char origin;
  return Work(plan, &origin).bytes;  // its pointers are not used
}

void cuda::sort_occurrences(const Call& c, const SegmentPlan& p, void* scratch, const SegmentArrays& out) {
  const Work w(p, scratch);
  const auto n = static_cast<unsigned>(p.n), tiles = (n + kTile - 1) / kTile;
  const uint2* sorted = w.a;
  Payload payload{nullptr, nullptr};
  if (n == 0) {
  } else if (sorts_ids(p)) {
    const BagData<float> in(c, p.uses[0].bags, p.uses[0].input);
    payload.coef = in.weights;
    cuda::each_bag_table(p.uses[0].bags, [&](const BagTable& t) {
      sorted = sort_of(p).run(c, IdPairs{t, in.ids, p.none}, w.a, w.b, w.sort);
    });
  } else {
    for (const SegmentPlan::Use& use : p.uses) write_entries(c, p, use, w);
    if (!p.plain) payload = {w.bag, w.coef};
    sorted = sort_of(p).run(c, PairsInMemory{w.a}, w.a, w.b, w.sort);
  }
  const Found* const found = n <= kBlockSortMost ? nullptr : w.tiles;
  if (found != nullptr) cuda::run(c, count_heads, tiles, kThreads, 0, sorted, n, p.none, w.tiles);
  cuda::run(c, write_segments, n / kTile + 1, kThreads, 0, sorted, n, p.none, payload, found, tiles, out);
}

static void prepare(const NodeSpec& node, Prepare& p) {
  p.scratch(cuda::occurrence_scratch_bytes(p.state<SegmentPlan>(read_uses(node))));
}
static void run(const Call& c) {
  cuda::sort_occurrences(c, c.state<SegmentPlan>(), c.scratch,
                         {c.out<int64_t>(0), c.out<int32_t>(1), c.out<int64_t>(2), c.out<int32_t>(3), c.out<float>(4)});
}
static const char* reject(const NodeSpec& node, const DeviceInfo& device) {
  return node.out[4].dtype == DType::F64 ? "f32 only" : cuda::reject_bags(node, device);
}

void register_segments_cuda(Registry& r) {
  r.add_kernel("embedding_segments",
               {.name = "radix", .device = Device::CUDA, .reject = reject, .prepare = prepare, .run = run});
}

}  // namespace winnow
