// The mean colours of the size x size rectangles of a picture, whose pixels come in any order, fastest along rows.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

namespace winnow::detail {

// In units of 1/size of a pixel, pixel x covers [x size, (x + 1) size) and cell j covers [j width, (j + 1) width): all
// overlaps are integers, and so are the sums (at most 255 width height).
class AreaMean {
 public:
  AreaMean(int64_t width, int64_t height, int64_t size)
      : width_(width),
        height_(height),
        size_(size),
        row_(static_cast<size_t>(3 * size)),
        sums_(static_cast<size_t>(3 * size * size)) {
    for (int64_t x = 0; x < width; ++x) cell_.push_back(static_cast<int32_t>(x * size / width));
  }

  void add(int64_t x, int64_t y, const uint8_t* rgb) {
    if (y != y_) finish_row(y);
    for (int64_t j = cell_[static_cast<size_t>(x)]; j < size_ && j * width_ < (x + 1) * size_; ++j) {
      const uint64_t share = overlap(x, j, width_);
      uint64_t* sum = row_.data() + 3 * j;
      for (int c = 0; c < 3; ++c) sum[c] += share * rgb[c];
    }
  }

  void append(std::vector<float>& out) {
    finish_row(-1);
    const double whole = 255.0 * static_cast<double>(width_) * static_cast<double>(height_);
    for (const uint64_t sum : sums_) out.push_back(static_cast<float>(static_cast<double>(sum) / whole));
  }

 private:
  // Adds the pixels of row y_ to the cells it crosses; y is the next one.
  void finish_row(int64_t y) {
    for (int64_t i = y_ < 0 ? size_ : y_ * size_ / height_; i < size_ && i * height_ < (y_ + 1) * size_; ++i) {
      const uint64_t share = overlap(y_, i, height_);
      uint64_t* sum = sums_.data() + 3 * size_ * i;
      for (size_t k = 0; k < row_.size(); ++k) sum[k] += share * row_[k];
    }
    std::ranges::fill(row_, 0);
    y_ = y;
  }
  uint64_t overlap(int64_t pixel, int64_t cell, int64_t extent) const {
    const int64_t begin = std::max(pixel * size_, cell * extent),
                  end = std::min((pixel + 1) * size_, (cell + 1) * extent);
    return static_cast<uint64_t>(std::max<int64_t>(0, end - begin));
  }
  int64_t width_, height_, size_, y_ = -1;
  std::vector<int32_t> cell_;  // the first cell of each column of pixels
  std::vector<uint64_t> row_, sums_;
};

}  // namespace winnow::detail
