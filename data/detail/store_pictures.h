// Pictures of the items of a synthetic store, drawn so that pixels tell what a customer would see.
#pragma once
#include <cstdint>
#include <vector>

#include "data/detail/store_world.h"

namespace winnow::store {

constexpr uint32_t kPictureSize = 32;

// [32, 32, 3] RGB. Background: a hue for the department, lighter for a "modern" own style (dimension 1). Shape: circle,
// square, triangle or ring for the leaf within its department, in the brand's hue, larger for a "robust" style
// (dimension 2). Stripes: more of them the more "ornate" (dimension 0). Frame: thick and golden for "luxury"
// (dimension 3). A little noise on every pixel.
std::vector<uint8_t> draw_picture(const World& world, size_t item);

}  // namespace winnow::store
