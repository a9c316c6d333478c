// Shared memory of the running block: one arena, 64-byte red zones between the arrays, NaN at the block's start.
#pragma once
#include <cstddef>
#include <cstdint>

namespace winnow::emulation {

inline constexpr std::size_t kSharedArena = 512 << 10;
inline constexpr std::size_t kStaticSharedLimit = 48 << 10;

void reset_shared_memory(std::size_t dynamic_bytes);
void* static_shared(const void* key, std::size_t bytes);  // the same array for every thread that brings the key
void* dynamic_shared();
std::uintptr_t shared_base();
bool in_shared_arena(std::uintptr_t address, std::size_t bytes);
bool in_shared_array(std::uintptr_t address, std::size_t bytes);  // inside one array, not merely the arena

}  // namespace winnow::emulation
