// embedding_segments: a (row, position) pair for every id, sorted by row; then the heads of equal rows are counted tile
// by tile and the segments written. Each step streams a few bytes an id: launches bound it at usual batch sizes.
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

// valid: occurrences that are not missing.
struct Totals {
  unsigned unique, valid;
};
__device__ bool is_head(const uint2* sorted, unsigned i, unsigned key, unsigned none) {
  return key != none && (i == 0 || sorted[i - 1].x != key);
}

__global__ void __launch_bounds__(kThreads)
    count_heads(const uint2* sorted, unsigned n, unsigned none, unsigned* heads, Totals* totals) {
  WN_SHARED(unsigned, parts, [33]);
  unsigned count = 0;
#pragma unroll
  for (unsigned r = 0; r < kRounds; ++r) {
    const unsigned i = blockIdx.x * kTile + r * kThreads + threadIdx.x;
    if (i >= n) break;
    const unsigned key = sorted[i].x;
    if (key == none) {
      if (i == 0 || sorted[i - 1].x != none) totals->valid = i;
      break;
    }
    if (i == n - 1) totals->valid = n;
    count += is_head(sorted, i, key, none);
  }
  count = cuda::block_reduce(count, cuda::Sum(), parts);
  if (threadIdx.x == 0) heads[blockIdx.x] = count;
}
// One block.
__global__ void __launch_bounds__(1024) sum_heads(unsigned tiles, unsigned* heads, Totals* totals, int64_t* count) {
  WN_SHARED(unsigned, parts, [33]);
  unsigned before = 0;
  for (unsigned first = 0; first < tiles; first += blockDim.x) {
    const unsigned i = first + threadIdx.x;
    const cuda::Scanned<unsigned> sum = cuda::block_scan(i < tiles ? heads[i] : 0u, parts);
    if (i < tiles) heads[i] = before + sum.before;
    before += sum.total;
  }
  if (threadIdx.x != 0) return;
  totals->unique = before;
  if (tiles == 0) totals->valid = 0;
  *count = before;
}

// Everything of index i: its occurrence, the segment that starts there, or the filling behind the last of each.
__global__ void __launch_bounds__(kThreads)
    write_segments(const uint2* sorted, unsigned n, Entries e, const unsigned* heads, const Totals* totals_,
                   SegmentArrays out) {
  WN_SHARED(unsigned, parts, [33]);
  const Totals totals = *totals_;
  unsigned k = blockIdx.x * kTile < totals.valid ? heads[blockIdx.x] : 0;
  for (unsigned r = 0; r < kRounds; ++r) {
    const unsigned i = blockIdx.x * kTile + r * kThreads + threadIdx.x;
    const uint2 pair = i < totals.valid ? sorted[i] : make_uint2(e.none, 0);
    const bool head = i < totals.valid && is_head(sorted, i, pair.x, e.none);
    const cuda::Scanned<unsigned> sum = cuda::block_scan(head ? 1u : 0u, parts);
    if (head) {
      out.unique_rows[k + sum.before] = pair.x;
      out.starts[k + sum.before] = static_cast<int32_t>(i);
    }
    k += sum.total;
    const bool used = i < totals.valid;
    if (i < n) {
      out.bag[i] = !used ? 0 : e.plain ? static_cast<int32_t>(pair.y) : e.bag[pair.y];
      out.coef[i] = !used ? 0.0f : e.plain ? 1.0f : e.coef[pair.y];
      if (out.position != nullptr) out.position[i] = static_cast<int32_t>(pair.y);
      if (i >= totals.unique) out.unique_rows[i] = -1;
    }
    if (i <= n && i >= totals.unique) out.starts[i] = static_cast<int32_t>(totals.valid);
  }
}

cuda::RadixSort sort_of(const SegmentPlan& p) { return {p.n, static_cast<int>(std::bit_width(p.none))}; }

// Scratch: two arrays of pairs, bag and coefficient of each position, heads of each tile, totals, the sort's own.
struct Work {
  uint2 *a, *b;
  int32_t* bag;
  float* coef;
  unsigned* heads;
  Totals* totals;
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
    take(bag, p.plain ? 0 : n);
    take(coef, p.plain ? 0 : n);
    take(heads, n / kTile + 1);
    take(totals, 1);
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
  for (const SegmentPlan::Use& use : p.uses) write_entries(c, p, use, w);
  const uint2* const sorted = sort_of(p).run(c, w.a, w.b, w.sort);
  if (n > 0) cuda::run(c, count_heads, tiles, kThreads, 0, sorted, n, p.none, w.heads, w.totals);
  cuda::run(c, sum_heads, 1, 1024, 0, tiles, w.heads, w.totals, out.count);
  const Entries e{p.none, p.plain, 0, 0, nullptr, w.bag, w.coef};
  cuda::run(c, write_segments, n / kTile + 1, kThreads, 0, sorted, n, e, w.heads, w.totals, out);
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
