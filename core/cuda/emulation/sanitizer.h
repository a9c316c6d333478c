// AddressSanitizer's interface as weak references: one build of the emulation serves programs with and without it.
#pragma once
#include <cstddef>

extern "C" {
void __asan_poison_memory_region(const volatile void* address, std::size_t bytes) __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void* address, std::size_t bytes) __attribute__((weak));
void __sanitizer_start_switch_fiber(void** save, const void* bottom, std::size_t bytes) __attribute__((weak));
void __sanitizer_finish_switch_fiber(void* save, const void** bottom, std::size_t* bytes) __attribute__((weak));
}

namespace winnow::emulation {

inline bool address_sanitized() { return __sanitizer_start_switch_fiber != nullptr; }
inline void poison(const void* address, std::size_t bytes) {
  if (__asan_poison_memory_region) __asan_poison_memory_region(address, bytes);
}
inline void unpoison(const void* address, std::size_t bytes) {
  if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(address, bytes);
}

}  // namespace winnow::emulation
