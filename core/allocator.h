// Where storage comes from. Every allocator returns memory aligned to kAlignment.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/device.h"

namespace winnow {

inline constexpr size_t kAlignment = 64;

class Allocator {
 public:
  virtual ~Allocator() = default;
  virtual Device device() const { return {}; }
  virtual void* allocate(size_t bytes) = 0;  // OutOfMemory; never null, also for 0 bytes
  virtual void deallocate(void* data, size_t bytes) noexcept = 0;
};

// Host memory; 4 MiB and more comes zero-filled from the kernel on huge pages and is touched lazily.
Allocator& host_allocator();
Allocator& device_allocator(Device device);  // host_allocator() for the CPU

// Counts what passes through it; forwards to `base`.
class CountingAllocator final : public Allocator {
 public:
  explicit CountingAllocator(Allocator& base) : base_(base) {}
  void* allocate(size_t bytes) override;
  void deallocate(void* data, size_t bytes) noexcept override;
  int64_t live_bytes() const { return live_; }
  int64_t peak_bytes() const { return peak_; }
  int64_t allocations() const { return count_; }

 private:
  Allocator& base_;
  std::atomic<int64_t> live_{0}, peak_{0}, count_{0};
};

// Puts a pattern before and behind each block and fills the block with NaN; `broken()` counts blocks whose
// pattern had changed when they were returned or checked. Used by `optest oob`.
class RedZoneAllocator final : public Allocator {
 public:
  static constexpr size_t kZone = 256;
  void* allocate(size_t bytes) override;
  void deallocate(void* data, size_t bytes) noexcept override;
  static bool intact(const void* data, size_t bytes);
  int64_t broken() const { return broken_; }

 private:
  std::atomic<int64_t> broken_{0};
};

}  // namespace winnow
