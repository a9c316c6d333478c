// Attributes and inputs of embedding_segments, for every backend: the lookups of one table, one behind the other.
#pragma once
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "ops/detail/bag_spec.h"

namespace winnow {

struct SegmentPlan {
  struct Use {
    BagSpec bags;
    int input;                          // of its ids
    int64_t first_bag, first_position;  // in the concatenation of all uses
  };
  std::vector<Use> uses;
  int64_t n = 0, bags = 0;
  uint32_t none = 0;  // the key of a missing id: behind every row
  bool plain = true;  // every coefficient is 1 and a position is its bag

  // first_input: of the first use's ids.
  explicit SegmentPlan(std::vector<BagSpec> specs, int first_input = 0) {
    int64_t rows = 0;
    int input = first_input;
    for (BagSpec& s : specs) {
      plain = plain && !s.has_offsets && !s.has_weights;
      rows = std::max(rows, s.table_rows());
      const int inputs = s.inputs();
      const int64_t of_bags = s.bags, capacity = s.capacity;
      uses.push_back({std::move(s), input, bags, n});
      bags += of_bags;
      n += capacity;
      input += inputs;
    }
    WN_CHECK(rows < 0xffffffff, ShapeError, "tables of {} rows; fewer than 2^32 - 1 are supported", rows);
    WN_CHECK(n < 0x7fffffff && bags < 0x7fffffff, ShapeError, "{} ids in {} bags; fewer than 2^31 - 1 are supported", n,
             bags);
    none = static_cast<uint32_t>(rows);
  }
};

inline std::string suffix_of_use(int64_t use) { return fmt::format("_{}", use); }

// The lookups of an embedding_segments node.
inline std::vector<BagSpec> read_uses(const NodeSpec& node) {
  std::vector<BagSpec> specs;
  size_t input = 0;
  for (int64_t u = 0; u < node.attrs.integer("uses"); ++u) {
    const std::string suffix = suffix_of_use(u);
    const bool offsets = node.attrs.flag("has_offsets" + suffix);
    specs.push_back(read_bags(node.attrs, suffix, node.in[input].shape, offsets ? &node.in[input + 1].shape : nullptr));
    input += static_cast<size_t>(specs.back().inputs());
  }
  return specs;
}

}  // namespace winnow
