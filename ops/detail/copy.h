// Moving elements of any type: by their size, in parallel.
#pragma once
#include <cstring>

#include "core/parallel.h"
#include "ops/detail/element_size.h"
#include "ops/detail/grain.h"

namespace winnow::detail {

inline constexpr int64_t kCopyGrain = 1 << 16;  // bytes a thread

// rows blocks of `width` bytes from src, src + src_stride, ... to dst, dst + dst_stride, ...
inline void copy_blocks(int64_t rows, int64_t width, const void* src, int64_t src_stride, void* dst,
                        int64_t dst_stride) {
  if (width == 0) return;
  const char* from = static_cast<const char*>(src);
  char* to = static_cast<char*>(dst);
  parallel_for(rows * width, kCopyGrain, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end;) {
      const int64_t row = at / width, column = at % width, n = std::min(width - column, end - at);
      std::memcpy(to + row * dst_stride + column, from + row * src_stride + column, static_cast<size_t>(n));
      at += n;
    }
  });
}

inline void zero_bytes(void* dst, int64_t bytes) {
  parallel_for(bytes, kCopyGrain, [&](int64_t begin, int64_t end) {
    std::memset(static_cast<char*>(dst) + begin, 0, static_cast<size_t>(end - begin));
  });
}

}  // namespace winnow::detail
