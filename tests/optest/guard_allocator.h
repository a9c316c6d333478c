// Blocks that end in front of an inaccessible page: reading or writing beyond them stops the process at once.
#pragma once
#include "core/allocator.h"

namespace winnow::optest {

// The block ends less than kAlignment bytes before the page; those bytes and everything before the block are NaN.
class GuardAllocator final : public Allocator {
 public:
  void* allocate(size_t bytes) override;
  void deallocate(void* data, size_t bytes) noexcept override;
};

}  // namespace winnow::optest
