#include "data/detail/store_pictures.h"

#include <algorithm>

#include "data/detail/store_words.h"

namespace winnow::store {
namespace {

using Colour = std::array<double, 3>;

// hue in [0, 6), saturation and value in [0, 1]; Smith 1978, "Color gamut transform pairs".
Colour from_hsv(double hue, double saturation, double value) {
  const auto sector = static_cast<int>(hue) % 6;
  const double f = hue - static_cast<double>(static_cast<int>(hue));
  const double p = value * (1 - saturation), q = value * (1 - saturation * f), t = value * (1 - saturation * (1 - f));
  switch (sector) {
    case 0: return {value, t, p};
    case 1: return {q, value, p};
    case 2: return {p, value, t};
    case 3: return {p, q, value};
    case 4: return {t, p, value};
    default: return {value, p, q};
  }
}

// -1 .. 1 for the dimension of the own style, whose deviation is 0.2.
double strength(const Item& i, size_t dimension) { return std::clamp(i.own[dimension] / 0.4, -1.0, 1.0); }

bool in_shape(size_t shape, double x, double y, double radius) {
  const double square = x * x + y * y;
  switch (shape) {
    case 0: return square <= radius * radius;
    case 1: return x >= -radius && x <= radius && y >= -radius && y <= radius;
    case 2: return y <= radius && y >= -radius && 2 * x <= y + radius && -2 * x <= y + radius;
    default: return square <= radius * radius && square >= 0.3 * radius * radius;
  }
}

}  // namespace

std::vector<uint8_t> draw_picture(const World& world, size_t item) {
  const Item& i = world.items[item];
  Draws noise(world.options.seed, Stream::Text, (uint64_t{1} << 40) + item);
  const double hue = 6.0 * static_cast<double>(department_of(i.leaf)) / kDepartments;
  const Colour background = from_hsv(hue, 0.35, 0.75 + 0.2 * strength(i, 1));
  const Colour shape = from_hsv(6.0 * i.brand / kBrands, 0.85, 0.45 + 0.4 * (i.brand % 2));
  const double radius = 9 + 3 * strength(i, 2);
  const auto stripe = static_cast<uint32_t>(7 - 4 * strength(i, 0));     // rows from one stripe to the next
  const auto frame = static_cast<uint32_t>(1.5 + 1.5 * strength(i, 3));  // pixels
  std::vector<uint8_t> rgb;
  rgb.reserve(size_t{3} * kPictureSize * kPictureSize);
  for (uint32_t row = 0; row < kPictureSize; ++row)
    for (uint32_t column = 0; column < kPictureSize; ++column) {
      const double x = column - 15.5, y = row - 15.5;
      const uint32_t edge = std::min(std::min(row, column), kPictureSize - 1 - std::max(row, column));
      Colour c = background;
      if (row % stripe == 0)
        for (double& v : c) v *= 0.7;
      if (in_shape(i.leaf % (kLeaves / kDepartments), x, y, radius)) c = shape;
      if (edge < frame) c = {0.85, 0.7, 0.2};
      for (const double v : c)
        rgb.push_back(static_cast<uint8_t>(std::clamp(v * 255 + 6 * noise.normal(), 0.0, 255.0)));
    }
  return rgb;
}

}  // namespace winnow::store
