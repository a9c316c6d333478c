#include "core/cuda/emulation/shared_memory.h"

#include <cstring>
#include <vector>

#include "core/cuda/emulation/race_checker.h"
#include "core/cuda/emulation/sanitizer.h"
#include "core/cuda/emulation/thread.h"

namespace winnow::emulation {

namespace {

constexpr std::size_t kRedZone = 64;
alignas(128) unsigned char arena[kSharedArena];

struct Array {
  const void* key;  // null: the dynamic one
  unsigned char* data;
  std::size_t bytes;
};
auto& arrays = *new std::vector<Array>;
std::size_t used = 0, static_bytes = 0;

Array& take(const void* key, std::size_t bytes) {
  unsigned char* data = arena + used + kRedZone;
  const std::size_t end = used + (kRedZone + bytes + kRedZone - 1) / kRedZone * kRedZone + kRedZone;
  if (end > kSharedArena)
    fail("shared-overflow", "more than %zu KiB of shared arrays in one block", kSharedArena >> 10);
  used = end;
  unpoison(data, bytes);
  std::memset(data, 0xFF, bytes);
  return arrays.emplace_back(Array{key, data, bytes});
}

}  // namespace

void reset_shared_memory(std::size_t dynamic_bytes) {
  forget_shared_memory(used);
  poison(arena, kSharedArena);
  used = static_bytes = 0;
  arrays.clear();
  take(nullptr, dynamic_bytes);
}

void* static_shared(const void* key, std::size_t bytes) {
  for (const Array& a : arrays)
    if (a.key == key) return a.data;
  static_bytes += bytes;
  if (static_bytes > kStaticSharedLimit)
    fail("shared-overflow", "static shared memory of %zu bytes; the limit is %zu", static_bytes, kStaticSharedLimit);
  return take(key, bytes).data;
}
void* dynamic_shared() { return arrays.front().data; }

std::uintptr_t shared_base() { return reinterpret_cast<std::uintptr_t>(arena); }
bool in_shared_arena(std::uintptr_t address, std::size_t bytes) {
  return address >= shared_base() && address + bytes <= shared_base() + kSharedArena;
}
bool in_shared_array(std::uintptr_t address, std::size_t bytes) {
  for (const Array& a : arrays) {
    const auto begin = reinterpret_cast<std::uintptr_t>(a.data);
    if (address >= begin && address + bytes <= begin + a.bytes) return true;
  }
  return false;
}

}  // namespace winnow::emulation
