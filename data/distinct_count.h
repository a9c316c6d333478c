// How many different values a stream holds, in bounded memory.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace winnow {

// Exact up to kExact values, by their 64-bit hashes; beyond that HyperLogLog (Flajolet et al. 2007) with 2^14 registers
// over the same hashes, whose standard error is 1.04 / sqrt(2^14) = 0.8 %. Does not depend on the order. 48 KiB at
// most.
class DistinctCount {
 public:
  static constexpr size_t kExact = 2048;
  void add(uint64_t hash);
  bool exact() const { return registers_.empty(); }
  int64_t count() const;

 private:
  static constexpr int kBits = 14;
  void grow();
  void add_to_registers(uint64_t hash);
  std::vector<uint64_t> table_;  // open addressing; 0: free
  size_t used_ = 0;
  std::vector<uint8_t> registers_;
};

}  // namespace winnow
