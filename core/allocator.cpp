#include "core/allocator.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "core/error.h"

namespace winnow {
namespace {

constexpr size_t kHugeThreshold = size_t{4} << 20, kHugePage = size_t{2} << 20;

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// Large blocks start on a huge page: mapped one page longer, the unaligned ends are given back at once.
class HostAllocator final : public Allocator {
 public:
  void* allocate(size_t bytes) override {
    if (bytes >= kHugeThreshold) return map_huge(bytes);
    void* p = std::aligned_alloc(kAlignment, round_up(bytes == 0 ? 1 : bytes, kAlignment));
    WN_CHECK(p != nullptr, OutOfMemory, "out of memory: {} bytes of host memory were refused", bytes);
    return p;
  }
  void deallocate(void* data, size_t bytes) noexcept override {
    if (bytes >= kHugeThreshold)
      munmap(data, round_up(bytes, kHugePage));
    else
      std::free(data);
  }

 private:
  static void* map_huge(size_t bytes) {
    const size_t size = round_up(bytes, kHugePage), mapped = size + kHugePage;
    void* p = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    WN_CHECK(p != MAP_FAILED, OutOfMemory, "out of memory: {:.1f} MiB of host memory were refused",
             static_cast<double>(bytes) / 1048576.0);
    const auto base = reinterpret_cast<uintptr_t>(p), start = round_up(base, kHugePage);
    if (start > base) munmap(p, start - base);
    const size_t behind = base + mapped - (start + size);
    if (behind > 0) munmap(reinterpret_cast<void*>(start + size), behind);
    madvise(reinterpret_cast<void*>(start), size, MADV_HUGEPAGE);  // advice: refusal costs speed only
    return reinterpret_cast<void*>(start);
  }
};

constexpr unsigned char kPattern = 0xA5;

}  // namespace

Allocator& host_allocator() {
  static HostAllocator allocator;
  return allocator;
}

void* CountingAllocator::allocate(size_t bytes) {
  void* p = base_.allocate(bytes);
  ++count_;
  const int64_t live = live_ += static_cast<int64_t>(bytes);
  for (int64_t peak = peak_; live > peak && !peak_.compare_exchange_weak(peak, live);) {}
  return p;
}
void CountingAllocator::deallocate(void* data, size_t bytes) noexcept {
  live_ -= static_cast<int64_t>(bytes);
  base_.deallocate(data, bytes);
}

void* RedZoneAllocator::allocate(size_t bytes) {
  auto* p = static_cast<unsigned char*>(host_allocator().allocate(bytes + 2 * kZone));
  std::memset(p, kPattern, kZone);
  std::memset(p + kZone, 0xFF, bytes);  // NaN in every float type
  std::memset(p + kZone + bytes, kPattern, kZone);
  return p + kZone;
}
bool RedZoneAllocator::intact(const void* data, size_t bytes) {
  const auto* p = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < kZone; ++i)
    if (p[i - kZone] != kPattern || p[bytes + i] != kPattern) return false;
  return true;
}
void RedZoneAllocator::deallocate(void* data, size_t bytes) noexcept {
  if (!intact(data, bytes)) ++broken_;
  host_allocator().deallocate(static_cast<unsigned char*>(data) - kZone, bytes + 2 * kZone);
}

}  // namespace winnow
