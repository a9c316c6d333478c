// The mean colours of the size x size rectangles of a picture, whose pixels come in any order.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

namespace winnow::detail {

// In units of 1/size of a pixel, pixel x covers [x size, (x + 1) size) and cell j covers [j width, (j + 1) width): all
// overlaps are integers, and so are the sums (below 2^8 2^26 pixels size^2 = 2^50).
class AreaMean {
 public:
  AreaMean(int64_t width, int64_t height, int64_t size)
      : width_(width), height_(height), size_(size), sums_(static_cast<size_t>(3 * size * size)) {}

  void add(int64_t x, int64_t y, const uint8_t* rgb) {
    for (int64_t i = y * size_ / height_; i < size_ && i * height_ < (y + 1) * size_; ++i)
      for (int64_t j = x * size_ / width_; j < size_ && j * width_ < (x + 1) * size_; ++j) {
        const uint64_t share = overlap(y, i, height_) * overlap(x, j, width_);
        uint64_t* sum = sums_.data() + 3 * (i * size_ + j);
        for (int c = 0; c < 3; ++c) sum[c] += share * rgb[c];
      }
  }

  void append(std::vector<float>& out) const {
    const double whole = 255.0 * static_cast<double>(width_) * static_cast<double>(height_);
    for (const uint64_t sum : sums_) out.push_back(static_cast<float>(static_cast<double>(sum) / whole));
  }

 private:
  uint64_t overlap(int64_t pixel, int64_t cell, int64_t extent) const {
    const int64_t begin = std::max(pixel * size_, cell * extent),
                  end = std::min((pixel + 1) * size_, (cell + 1) * extent);
    return static_cast<uint64_t>(std::max<int64_t>(0, end - begin));
  }
  int64_t width_, height_, size_;
  std::vector<uint64_t> sums_;
};

}  // namespace winnow::detail
