// One decoder a picture format; contracts in data/image.h.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/detail/area_mean.h"

namespace winnow::detail {

struct ImageLimits {
  const std::string& name;
  int64_t size, max_pixels;
  [[noreturn]] void fail(const std::string& what) const;  // DataError
  void check(int64_t width, int64_t height) const;
};

void decode_png(std::string_view file, const ImageLimits& limits, std::vector<float>& out);
void decode_jpeg(std::string_view file, const ImageLimits& limits, std::vector<float>& out);
void decode_ppm(std::string_view file, const ImageLimits& limits, std::vector<float>& out);

}  // namespace winnow::detail
