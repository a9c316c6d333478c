// The devices' memory: one range of host addresses each, closed (PROT_NONE) whenever host code runs. A block is aligned
// to the 256 bytes that cudaMalloc promises and otherwise lies as far right as that allows before a guard page; the
// slack holds a pattern that is checked when the block is freed; new blocks read as NaN; freed addresses are not used
// again.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace winnow::emulation {

inline constexpr int kMaxDevices = 8;
inline constexpr std::size_t kDeviceBytes = std::size_t{4} << 30;

std::uintptr_t device_base(int device);
int device_of(const void* address);  // -1: not device memory
inline int device_of(std::uintptr_t address) { return device_of(reinterpret_cast<const void*>(address)); }

// Null when the range is full. Pending: stream-ordered memory whose allocation has not run yet.
void* new_block(int device, std::size_t bytes, bool pending = false);
void activate_block(void* data);
bool free_block(void* data);  // false, and a report, unless `data` is a live block's start
bool is_block(const void* data);
std::size_t block_bytes(const void* data);  // of the live or pending block that starts there, else 0
std::size_t live_blocks(int device = -1);   // -1: of all devices
std::size_t live_bytes(int device);

enum class Validity { Ok, OutOfBounds, Freed, Pending };
Validity check_range(std::uintptr_t address, std::size_t bytes);  // the whole range inside one live block
bool device_range(const void* address, std::size_t bytes);        // the same; true for 0 bytes
std::string describe_address(std::uintptr_t address);             // the block around or before it, for messages

// Opens the memory of `devices` (a bit each) for the scope, beside what is open already or instead of it. What runs in
// other host threads meanwhile can touch the open memory unnoticed: pages have no owner among threads.
class AccessScope {
 public:
  enum class Mode { Add, Only };
  explicit AccessScope(unsigned devices, Mode mode = Mode::Add);
  ~AccessScope();
  AccessScope(const AccessScope&) = delete;
  AccessScope& operator=(const AccessScope&) = delete;

 private:
  unsigned before_;
};
inline constexpr unsigned kAllDevices = (1u << kMaxDevices) - 1;

}  // namespace winnow::emulation
