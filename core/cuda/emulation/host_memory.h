// Page-locked host memory: copies from and to it run when the stream gets there, not at the call.
#pragma once
#include <cstddef>

namespace winnow::emulation {

bool is_pinned(const void* address, std::size_t bytes);

}  // namespace winnow::emulation
