// The features of a lookup as kernels read them: by value in the launch, a range of features at a time. Warps take one
// feature each, so that the reads are uniform. For .cu files.
#pragma once
#include "core/cuda/kernel.h"
#include "ops/detail/bag_spec.h"

namespace winnow::cuda {

struct BagTable {
  static constexpr int64_t kMost = 128;
  int64_t base[kMost], rows[kMost];
  uint8_t pool[kMost];
  int64_t padding_id;
  unsigned first, count, features;  // this range of all features
  unsigned samples;

  __device__ int64_t row(unsigned f, int64_t id) const { return row_of_id(id, base[f], rows[f], padding_id); }
};

// f(table) for each range of features.
template <class F>
void each_bag_table(const BagSpec& s, F&& f) {
  for (int64_t first = 0; first < s.features; first += BagTable::kMost) {
    BagTable t{};
    const int64_t count = std::min(BagTable::kMost, s.features - first);
    for (int64_t i = 0; i < count; ++i) {
      const auto from = static_cast<size_t>(first + i);
      t.base[i] = s.base[from];
      t.rows[i] = s.rows[from];
      t.pool[i] = s.pool[from];
    }
    t.padding_id = s.padding_id;
    t.first = static_cast<unsigned>(first);
    t.count = static_cast<unsigned>(count);
    t.features = static_cast<unsigned>(s.features);
    t.samples = static_cast<unsigned>(s.bags / s.features);
    f(t);
  }
}

// The bag of a group of 2^bits lanes: a warp has one feature and consecutive samples.
struct BagOfLanes {
  unsigned f, sample;  // f: of the table's range
  bool exists;
  int64_t bag;
  __device__ BagOfLanes(const BagTable& t, unsigned bits) {
    const unsigned warp = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    f = warp % t.count;
    sample = (warp / t.count << (5 - bits)) + (threadIdx.x % 32 >> bits);
    exists = sample < t.samples;
    bag = int64_t{sample} * t.features + t.first + f;
  }
  static dim3 grid(const BagTable& t, unsigned bits, int64_t threads) {
    const int64_t warps = ((int64_t{t.samples} + (32 >> bits) - 1) >> (5 - bits)) * t.count;
    const int64_t blocks = (warps * 32 + threads - 1) / threads;
    return dim3(static_cast<unsigned>(blocks < 1 ? 1 : blocks));
  }
};

inline const char* reject_bags(const NodeSpec& node, const DeviceInfo& device) {
  for (const TensorSpec& in : node.in)
    if (in.dtype == DType::I64 && in.shape.numel() >= 0x7fffffff) return "2^31 - 1 ids or more";
  return reject_all_but_f32(node, device);
}

}  // namespace winnow::cuda
