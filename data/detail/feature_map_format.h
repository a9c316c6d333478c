#pragma once
#include <cstdint>

namespace winnow::detail {

constexpr const char* kFeatureMapFormat = "winnow feature map";
constexpr int64_t kFeatureMapVersion = 2;  // 1 had categorical, multi and numeric features only; it is read too
constexpr const char* kHashName = "xxh64";
constexpr int64_t kHashSeed = 0;

}  // namespace winnow::detail
