// Element types. F64 is for references, gradient checks and metrics.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "core/error.h"

namespace winnow {

enum class DType : uint8_t { F32, BF16, F64, I8, U8, I32, I64 };

constexpr size_t size_of(DType t) {
  switch (t) {
    case DType::F32:
    case DType::I32: return 4;
    case DType::BF16: return 2;
    case DType::F64:
    case DType::I64: return 8;
    case DType::I8:
    case DType::U8: return 1;
  }
  return 0;
}
constexpr const char* name_of(DType t) {
  switch (t) {
    case DType::F32: return "f32";
    case DType::BF16: return "bf16";
    case DType::F64: return "f64";
    case DType::I8: return "i8";
    case DType::U8: return "u8";
    case DType::I32: return "i32";
    case DType::I64: return "i64";
  }
  return "?";
}
// How matrix products read f32 operands; sums, parameters and what others read stay f32. F32: as they are. TF32: with
// 10 bits of mantissa (CUDA devices). BF16: rounded to bf16, with 7 bits, and devices store so what products alone
// read.
enum class Precision : uint8_t { F32, TF32, BF16 };
inline constexpr const char* kPrecisionNames[] = {"f32", "tf32", "bf16"};  // in configs and options

constexpr bool is_float(DType t) { return t == DType::F32 || t == DType::F64 || t == DType::BF16; }

// bfloat16 storage; arithmetic happens in float. Rounds to nearest even, NaN stays a (quiet) NaN.
struct bf16 {
  uint16_t bits = 0;
  bf16() = default;
  explicit bf16(float f) {
    const auto u = __builtin_bit_cast(uint32_t, f);
    bits = (u & 0x7fffffffu) > 0x7f800000u ? static_cast<uint16_t>((u >> 16) | 0x40)
                                           : static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
  }
  operator float() const { return __builtin_bit_cast(float, uint32_t{bits} << 16); }
};

template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>)
    return DType::F32;
  else if constexpr (std::is_same_v<T, bf16>)
    return DType::BF16;
  else if constexpr (std::is_same_v<T, double>)
    return DType::F64;
  else if constexpr (std::is_same_v<T, int8_t>)
    return DType::I8;
  else if constexpr (std::is_same_v<T, uint8_t>)
    return DType::U8;
  else if constexpr (std::is_same_v<T, int32_t>)
    return DType::I32;
  else if constexpr (std::is_same_v<T, int64_t>)
    return DType::I64;
  else
    static_assert(sizeof(T) == 0, "no DType for this type");
}

// Calls f.template operator()<T>() with T = float or double; other types are an error naming `where`.
template <class F>
decltype(auto) visit_float(DType t, const char* where, F&& f) {
  if (t == DType::F32) return f.template operator()<float>();
  if (t == DType::F64) return f.template operator()<double>();
  raise<DTypeError>("{}: needs f32 or f64, got {}", where, name_of(t));
}

}  // namespace winnow
