// Rows of embedding tables: element types, widths fixed at compile time, prefetch.
#pragma once
#include <cstdint>

#include "core/dtype.h"

namespace winnow::rows {

inline constexpr int64_t kAhead = 32;  // rows in flight per thread; measured flat from 16 to 48

inline void prefetch(const void* data, size_t bytes) {
  const auto* p = static_cast<const char*>(data);
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i, 0, 3);
}
inline void prefetch_write(const void* data, size_t bytes) {
  const auto* p = static_cast<const char*>(data);
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i, 1, 3);
}

// Calls f.template operator()<T, W>(): W stores the row, T is the type of arithmetic.
template <class F>
decltype(auto) visit_rows(DType row, const char* where, F&& f) {
  if (row == DType::F32) return f.template operator()<float, float>();
  if (row == DType::BF16) return f.template operator()<float, bf16>();
  if (row == DType::F64) return f.template operator()<double, double>();
  raise<DTypeError>("{}: rows must be f32, bf16 or f64, got {}", where, name_of(row));
}

// Calls f.template operator()<D>() with D = dim where a form of its own exists, else 0.
template <class F>
decltype(auto) visit_dim(int64_t dim, F&& f) {
  switch (dim) {
    case 1: return f.template operator()<1>();
    case 4: return f.template operator()<4>();
    case 8: return f.template operator()<8>();
    case 16: return f.template operator()<16>();
    case 32: return f.template operator()<32>();
    case 64: return f.template operator()<64>();
    case 128: return f.template operator()<128>();
    default: return f.template operator()<0>();
  }
}

inline DType arithmetic_type(DType row) { return row == DType::F64 ? DType::F64 : DType::F32; }

}  // namespace winnow::rows
