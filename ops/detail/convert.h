// The conversions of ops/cast.h.
#pragma once
#include <limits>
#include <utility>

#include "core/dtype.h"
#include "core/math.h"

namespace winnow::detail {

template <class T>
inline constexpr bool kFloating = std::is_floating_point_v<T> || std::is_same_v<T, bf16>;

template <class To, class From>
WN_HD To converted(From x) {
  if constexpr (std::is_same_v<From, bf16> && !std::is_same_v<To, bf16>) {
    return converted<To>(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, bf16>) {
    return To(static_cast<float>(x));
  } else if constexpr (kFloating<To>) {
    return static_cast<To>(x);
  } else if constexpr (kFloating<From>) {
    constexpr From kLow = static_cast<From>(std::numeric_limits<To>::min());
    constexpr From kEnd = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * From(2);  // max + 1, exactly
    if (!(x >= kLow)) return x < kLow ? std::numeric_limits<To>::min() : To(0);
    return x >= kEnd ? std::numeric_limits<To>::max() : static_cast<To>(x);
  } else {
    if (std::cmp_less(x, std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    return std::cmp_greater(x, std::numeric_limits<To>::max()) ? std::numeric_limits<To>::max() : static_cast<To>(x);
  }
}

inline constexpr const char* kConvertible = "f32, f64, bf16, i32, i64 or u8";

// Calls f.template operator()<T>() with T the type of elements.
template <class F>
void visit_convertible(DType t, F&& f) {
  switch (t) {
    case DType::F32: return f.template operator()<float>();
    case DType::F64: return f.template operator()<double>();
    case DType::BF16: return f.template operator()<bf16>();
    case DType::I32: return f.template operator()<int32_t>();
    case DType::I64: return f.template operator()<int64_t>();
    case DType::U8: return f.template operator()<uint8_t>();
    case DType::I8: break;
  }
  raise<DTypeError>("cast(): {} is none of {}", name_of(t), kConvertible);
}

}  // namespace winnow::detail
