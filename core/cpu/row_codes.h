// Rows of floats beside rows of bytes that say, with proof, how large a product can be: a quarter of the memory, and
// integer instructions, decide which products need be computed (core/cpu/topk.h).
//
//   x = s (c + r),  c = bytes in -127..127,  s = max_i |x_i| / 127;     q = t (d + p) likewise
//   |q . x - s t (c . d)| = s t |c . p + (d + p) . r|  <=  |q| |r| s + t |p| (|x| + s |r|)         (Cauchy-Schwarz)
//
// A float product of q and x, summed in any order, is within (d + 16) 2^-24 |q| |x| of the true one while nothing
// overflows, and within (d + 16) 2^-126 more where something underflows. All norms are those of what was really coded,
// in double and rounded up; |r| and |x| / s, alike in rows that are unlike in length, are kept once for 64 rows. So the
// product of floats lies in
//
//   s t (c . d) +- (s t slack + tiny),   slack = an integer for a block of 64 rows and a query
//
// For normal vectors of 128 elements s t slack is .17 of the scores' standard deviation. Where no bound holds - numbers
// that are not finite, products that may overflow - slack is kNoSlack.
#pragma once
#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace winnow::cpu {

inline constexpr float kMostProduct = 0x1p125f;  // of norms: no sum of products overflows

class RowCodes {
 public:
  static constexpr int64_t kBlock = 64;
  struct Bounds {                              // the largest of a block; infinity where a number is not finite
    float residual = 0, length = 0, norm = 0;  // |r|, |x| / s, |x|
  };

  explicit RowCodes(int64_t width);
  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }                     // of the rows
  int64_t code_width() const { return (width_ + 3) / 4 * 4; }  // of their codes
  // Codes rows [first, count) of x [count, width], and those before that no call coded; the others are as they were.
  // There are count from now on. The result depends on x alone.
  void encode(const float* x, int64_t first, int64_t count);
  // 128 + c; after the last row zeros follow up to a whole block, with scale 0.
  const uint8_t* codes(int64_t row) const { return code_at_ + row * code_width(); }
  const float* scales(int64_t row) const { return scale_at_ + row; }  // s
  const Bounds& bounds(int64_t row) const { return bounds_[static_cast<size_t>(row / kBlock)]; }
  int64_t bytes() const { return rows_ * (code_width() + 4); }

 private:
  void encode_block(const float* x, int64_t block);
  int64_t width_, rows_ = 0, capacity_ = 0;
  Tensor codes_, scales_;
  uint8_t* code_at_ = nullptr;  // of these
  float* scale_at_ = nullptr;
  std::vector<Bounds> bounds_;
};

// A query in bytes of -most_code..most_code.
class QueryCode {
 public:
  static constexpr int32_t kNoSlack = -1;
  // Writes d to code [RowCodes::code_width()].
  QueryCode(const float* q, int64_t width, int most_code, int8_t* code);
  bool finite() const { return finite_; }
  int32_t start() const { return start_; }  // -128 sum d: what the offset of the rows' bytes adds to a product
  int32_t slack(const RowCodes::Bounds& b) const {
    const float units = residual_ * b.residual + length_ * b.length;
    return units < kMostSlack && norm_ * b.norm < kMostProduct ? static_cast<int32_t>(units) + 1 : kNoSlack;
  }
  // Bounds of the float product where c . d + slack = product.
  float upper(int32_t product, float scale) const;
  float lower(int32_t product, int32_t slack, float scale) const;
  // float(product) scale is at least this wherever upper(product, scale) >= score.
  float threshold(float score) const;

 private:
  friend class QuerySlacks;
  static constexpr float kMostSlack = 0x1p29f;
  bool finite_ = true;
  double unit_ = 1, tiny_ = 0;  // t
  int32_t start_ = 0;
  float residual_ = 0, length_ = 0, norm_ = 0;  // slack = residual |r| + length |x| / s
};

// The slacks of many queries, side by side.
class QuerySlacks {
 public:
  void add(const QueryCode& q);
  // slacks[j] of query first + j, starts[j] = its start() + slack, j < count; false where one has no slack.
  bool of(const RowCodes::Bounds& b, int64_t first, int64_t count, int32_t* slacks, int32_t* starts) const;

 private:
  std::vector<float> residual_, length_, norm_;
  std::vector<int32_t> start_;
};

}  // namespace winnow::cpu
