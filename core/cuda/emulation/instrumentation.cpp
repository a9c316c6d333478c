// The functions that -fsanitize=thread and -fsanitize=alignment make kernels call. Linked into race-checked programs
// only, and instead of libtsan and libubsan: neither option may be given at link time.
#include <cstdint>

#include "core/cuda/emulation/race_checker.h"

using winnow::emulation::Access;

namespace {
const bool enabled = (winnow::emulation::enable_race_checker(), true);

void check(const void* address, std::size_t bytes, Access kind, const void* pc) {
  winnow::emulation::check_access(reinterpret_cast<std::uintptr_t>(address), bytes, kind, pc);
}
struct TypeMismatch {  // clang's ubsan_handlers.h
  const char* file;
  std::uint32_t line, column;
  const void* type;
  unsigned char log_alignment, kind;
};
}  // namespace

extern "C" {

#define WN_TSAN_HOOK(form, bytes, kind) \
  void __tsan_##form##bytes(void* address) { check(address, bytes, Access::kind, __builtin_return_address(0)); }
#define WN_TSAN_HOOKS(bytes)                  \
  WN_TSAN_HOOK(read, bytes, Read)             \
  WN_TSAN_HOOK(write, bytes, Write)           \
  WN_TSAN_HOOK(unaligned_read, bytes, Read)   \
  WN_TSAN_HOOK(unaligned_write, bytes, Write) \
  WN_TSAN_HOOK(volatile_read, bytes, Read)    \
  WN_TSAN_HOOK(volatile_write, bytes, Write)
WN_TSAN_HOOKS(1)
WN_TSAN_HOOKS(2)
WN_TSAN_HOOKS(4)
WN_TSAN_HOOKS(8)
WN_TSAN_HOOKS(16)

void __tsan_read_range(void* address, unsigned long bytes) {
  check(address, bytes, Access::Read, __builtin_return_address(0));
}
void __tsan_write_range(void* address, unsigned long bytes) {
  check(address, bytes, Access::Write, __builtin_return_address(0));
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

// Atomics of host code that lies in the same file (reference counts): not the checker's business.
#define WN_TSAN_ATOMICS(bits, T)                                                                                    \
  T __tsan_atomic##bits##_load(const volatile T* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }           \
  void __tsan_atomic##bits##_store(volatile T* p, T v, int) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }           \
  T __tsan_atomic##bits##_exchange(volatile T* p, T v, int) { return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); } \
  T __tsan_atomic##bits##_fetch_add(volatile T* p, T v, int) { return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); } \
  T __tsan_atomic##bits##_fetch_sub(volatile T* p, T v, int) { return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST); } \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* expected, T v, int, int) {                    \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                  \
  }
WN_TSAN_ATOMICS(8, std::uint8_t)
WN_TSAN_ATOMICS(32, std::uint32_t)
WN_TSAN_ATOMICS(64, std::uint64_t)

// UBSan checks in the front end, so it sees a vector's alignment before the compiler takes the load apart.
void __ubsan_handle_type_mismatch_v1(TypeMismatch* where, void* address) {
  winnow::emulation::report_misaligned(where->file, where->line, address, 1u << where->log_alignment);
}
}
