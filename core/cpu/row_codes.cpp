#include "core/cpu/row_codes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/parallel.h"

namespace winnow::cpu {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kLeastScale = 0x1p-100f;  // its inverse is finite and no product of it with an integer underflows
constexpr double kUp = 1 + 1e-6;          // more than the rounding of a norm and of what is computed with it
constexpr int64_t kLanes = 8;

// At least x, by more than half a step of floats there, subnormal ones included.
float above(double x) { return static_cast<float>(x + std::fabs(x) * 0x1p-23 + 0x1p-148); }
float below(double x) { return -above(-x); }

double norm_up(const double (&squares)[kLanes]) {
  double sum = 0;
  for (const double s : squares) sum += s;
  return std::sqrt(sum) * kUp;
}

double norm_of(const float* x, int64_t width) {
  double squares[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes)
    for (int64_t l = 0; l < kLanes; ++l) squares[l] += double{x[i + l]} * double{x[i + l]};
  for (; i < width; ++i) squares[0] += double{x[i]} * double{x[i]};
  return norm_up(squares);
}

float largest(const float* x, int64_t width) {
  float most[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes)
    for (int64_t l = 0; l < kLanes; ++l) most[l] = std::max(most[l], std::fabs(x[i + l]));
  for (; i < width; ++i) most[0] = std::max(most[0], std::fabs(x[i]));
  return *std::max_element(most, most + kLanes);
}

// |x - scale (code - 128)|
double residual_of(const float* x, const uint8_t* code, float scale, int64_t width) {
  double squares[kLanes] = {};
  const auto rest = [&](int64_t i) { return double{x[i]} - double{scale} * static_cast<double>(int{code[i]} - 128); };
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes)
    for (int64_t l = 0; l < kLanes; ++l) squares[l] += rest(i + l) * rest(i + l);
  for (; i < width; ++i) squares[0] += rest(i) * rest(i);
  return norm_up(squares);
}

// A float sum of products is off by at most this share of |q| |x|, and this much where something underflows.
double rounding_share(int64_t width) {
  const double share = static_cast<double>(width + 16) * 0x1p-24;
  return share < 0.5 ? share / (1 - share) : std::numeric_limits<double>::infinity();
}
double rounding_tiny(int64_t width) { return static_cast<double>(width + 16) * 0x1p-126; }

}  // namespace

RowCodes::RowCodes(int64_t width) : width_(width) {
  WN_CHECK(width >= 1 && width <= 65536, ShapeError, "rows of {} numbers in bytes: widths are 1 to 65536", width);
}

void RowCodes::encode(const float* x, int64_t first, int64_t count) {
  const int64_t blocks = (count + kBlock - 1) / kBlock, begin = std::min({first, rows_, count}) / kBlock;
  if (blocks * kBlock > capacity_) {
    capacity_ = std::max(blocks * kBlock, (capacity_ + capacity_ / 2) / kBlock * kBlock);
    Tensor codes({DType::U8, {capacity_ * code_width()}}), scales({DType::F32, {capacity_}});
    if (begin > 0) {
      std::memcpy(codes.raw(), codes_.raw(), static_cast<size_t>(begin * kBlock * code_width()));
      std::memcpy(scales.raw(), scales_.raw(), static_cast<size_t>(begin * kBlock) * sizeof(float));
    }
    codes_ = codes;
    scales_ = scales;
    code_at_ = codes_.data<uint8_t>();
    scale_at_ = scales_.data<float>();
  }
  rows_ = count;
  bounds_.resize(static_cast<size_t>(blocks));
  parallel_for(blocks - begin, 8, [&](int64_t from, int64_t to) {
    for (int64_t b = begin + from; b < begin + to; ++b) encode_block(x, b);
  });
}

void RowCodes::encode_block(const float* x, int64_t block) {
  Bounds most;
  for (int64_t r = block * kBlock; r < (block + 1) * kBlock; ++r) {
    uint8_t* code = code_at_ + r * code_width();
    float& scale = scale_at_[r];
    std::memset(code, 128, static_cast<size_t>(code_width()));
    scale = 0;
    if (r >= rows_) continue;
    const float* row = x + r * width_;
    const double norm = norm_of(row, width_);
    if (!std::isfinite(norm)) {
      most = {kInf, kInf, kInf};
      continue;
    }
    scale = std::max(largest(row, width_) / 127, kLeastScale);
    const float by = 1 / scale;
    for (int64_t i = 0; i < width_; ++i) code[i] = static_cast<uint8_t>(static_cast<int>(row[i] * by + 128.5f));
    const double residual = residual_of(row, code, scale, width_) / double{scale};
    most.residual = std::max(most.residual, above(residual));
    most.length = std::max(most.length, above(norm / double{scale}));
    most.norm = std::max(most.norm, above(norm));
  }
  bounds_[static_cast<size_t>(block)] = most;
}

QueryCode::QueryCode(const float* q, int64_t width, int most_code, int8_t* code) {
  std::fill(code, code + (width + 3) / 4 * 4, int8_t{0});
  const double norm = norm_of(q, width);
  finite_ = std::isfinite(norm);
  if (!finite_) return;
  const double most = double{largest(q, width)};
  if (most > 0) unit_ = most / most_code;
  double squares[kLanes] = {};
  int32_t sum = 0;
  for (int64_t i = 0; i < width; ++i) {
    const double rounded = std::nearbyint(double{q[i]} / unit_);
    code[i] = static_cast<int8_t>(rounded);
    sum += code[i];
    const double rest = double{q[i]} - unit_ * rounded;
    squares[0] += rest * rest;
  }
  const double error = norm_up(squares), share = rounding_share(width);
  tiny_ = rounding_tiny(width);
  start_ = -128 * sum;
  residual_ = above((norm + error) / unit_ * kUp);
  length_ = above((error + share * norm) / unit_ * kUp);
  norm_ = above(norm);
}

float QueryCode::upper(int32_t product, float scale) const {
  const double most = product;
  return above(most * double{scale} * unit_ * (most > 0 ? 1 + 1e-12 : 1 - 1e-12) + tiny_);
}
float QueryCode::lower(int32_t product, int32_t slack, float scale) const {
  const double least = static_cast<double>(product) - 2. * slack;
  return below(least * double{scale} * unit_ * (least > 0 ? 1 - 1e-12 : 1 + 1e-12) - tiny_);
}
float QueryCode::threshold(float score) const {
  if (std::isinf(score)) return score;
  const double units = (double{score} - 2 * tiny_) / unit_;
  // Scaled products are rounded twice; they are 0 or at least kLeastScale.
  const double least = units - 1e-6 * std::fabs(units) - 1e-37;
  constexpr double kMost = double{std::numeric_limits<float>::max()};
  return least < -kMost ? -kInf : least > kMost ? std::numeric_limits<float>::max() : below(least);
}
void QuerySlacks::add(const QueryCode& q) {
  residual_.push_back(q.residual_);
  length_.push_back(q.length_);
  norm_.push_back(q.norm_);
  start_.push_back(q.start_);
}
bool QuerySlacks::of(const RowCodes::Bounds& b, int64_t first, int64_t count, int32_t* slacks, int32_t* starts) const {
  const float *residual = residual_.data() + first, *length = length_.data() + first, *norm = norm_.data() + first;
  const int32_t* start = start_.data() + first;
  int32_t all = 1;
  for (int64_t j = 0; j < count; ++j) {
    const float units = residual[j] * b.residual + length[j] * b.length;
    const bool holds = units < QueryCode::kMostSlack && norm[j] * b.norm < kMostProduct;
    all &= holds ? 1 : 0;
    slacks[j] = static_cast<int32_t>(holds ? units : 0.f) + 1;
    starts[j] = start[j] + slacks[j];
  }
  return all != 0;
}

}  // namespace winnow::cpu
