// Products on tensor cores read and write 16 bytes at a time, and are two to three times as slow where rows do not
// start at a multiple of that (a click model's 429 inputs in bf16). Such operands are copied to scratch first, with
// zeros beside them, and such a result is copied from there.
#pragma once
#include <algorithm>
#include <optional>

#include "core/cuda/bf16.h"
#include "core/cuda/kernel.h"
#include "core/cuda/matmul_plan.h"

namespace winnow::detail {

struct Matrix {
  int64_t rows, columns;
  bool operator==(const Matrix&) const = default;
  int64_t elements() const { return rows * columns; }
};

inline constexpr unsigned kPlaceThreads = 256;

// to: from, with zeros at rows and columns that from does not have. W divides the columns of to.
template <class T, int W>
__global__ void __launch_bounds__(kPlaceThreads) place(Matrix in, const T* from, Matrix out, T* to) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x, vectors = out.columns / W;
  for (int64_t v = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; v < out.rows * vectors; v += step) {
    const int64_t row = v / vectors, first = v % vectors * W;
    cuda::Vector<T, W> x;
#pragma unroll
    for (int j = 0; j < W; ++j)
      x.v[j] = row < in.rows && first + j < in.columns ? from[row * in.columns + first + j] : T{};
    cuda::store_vector(to + row * out.columns + first, x);
  }
}

class AlignedProduct {
 public:
  AlignedProduct(const cuda::Product& p, const DeviceInfo& device) : product_(p), wide_(widened(p)) {
    if (p.m > 0 && p.n > 0 && p.k > 0 && p.batches > 0) plan_.emplace(wide_, device.device, device.measure);
  }
  bool empty() const { return !plan_; }
  size_t scratch_bytes() const {
    if (empty()) return 0;
    size_t bytes = rounded(plan_->workspace_bytes());
    for (const auto part : {&a_of, &b_of, &d_of})
      if (part(product_) != part(wide_)) bytes += bytes_of(part(wide_), part == &d_of);
    return bytes;
  }
  // Of a plan that is not empty; scratch starts at 256 bytes.
  void run(const Call& c, const void* a, const void* b, const void* added, const void* bias, void* d) const {
    char* scratch = c.scratch_as<char>() + rounded(plan_->workspace_bytes());
    const void* const wide_a = widen(c, a_of, a, scratch);
    const void* const wide_b = widen(c, b_of, b, scratch);
    const bool narrows = d_of(product_) != d_of(wide_);
    plan_->run(wide_a, wide_b, added, bias, narrows ? scratch : d, c.scratch, cuda::stream_of(c));
    if (narrows) copy(c, product_.bf16_out, d_of(wide_), scratch, d_of(product_), d);
  }

 private:
  static size_t rounded(size_t bytes) { return (bytes + 255) / 256 * 256; }
  static Matrix a_of(const cuda::Product& p) { return p.trans_a ? Matrix{p.k, p.m} : Matrix{p.m, p.k}; }
  static Matrix b_of(const cuda::Product& p) { return p.trans_b ? Matrix{p.n, p.k} : Matrix{p.k, p.n}; }
  static Matrix d_of(const cuda::Product& p) { return {p.m, p.n}; }

  // Extents that are rows of some operand, as multiples of 16 bytes, where the product is worth a copy.
  static cuda::Product widened(cuda::Product p) {
    constexpr int64_t kLeast = 64;
    const int64_t unit = p.precision == Precision::BF16 ? 8 : p.precision == Precision::TF32 ? 4 : 1;
    const auto widen = [unit](int64_t extent) { return (extent + unit - 1) / unit * unit; };
    if (p.batches != 1 || std::min({p.m, p.n, p.k}) < kLeast) return p;
    if (!p.trans_a || p.trans_b) p.k = widen(p.k);
    if (p.adds_c) return p;
    if (p.trans_a) p.m = widen(p.m);
    if (!p.adds_bias) p.n = widen(p.n);
    return p;
  }
  size_t bytes_of(const Matrix& x, bool result) const {
    const bool low = result ? product_.bf16_out : product_.precision == Precision::BF16;
    return rounded(static_cast<size_t>(x.elements()) * size_of(low ? DType::BF16 : DType::F32));
  }
  const void* widen(const Call& c, Matrix (*part)(const cuda::Product&), const void* data, char*& scratch) const {
    const Matrix in = part(product_), out = part(wide_);
    if (in == out) return data;
    char* const to = scratch;
    scratch += bytes_of(out, false);
    copy(c, product_.precision == Precision::BF16, in, data, out, to);
    return to;
  }
  static void copy(const Call& c, bool low, const Matrix& in, const void* from, const Matrix& out, void* to) {
    cuda::visit_stored(low, [&]<class T> { copy_of<T>(c, in, from, out, to); });
  }
  template <class T>
  static void copy_of(const Call& c, const Matrix& in, const void* from, const Matrix& out, void* to) {
    constexpr int kWidth = 4;
    const bool vectors = out.columns % kWidth == 0 && cuda::is_aligned(to, kWidth * sizeof(T));
    cuda::run(c, vectors ? place<T, kWidth> : place<T, 1>,
              cuda::grid(out.elements() / (vectors ? kWidth : 1), kPlaceThreads), kPlaceThreads, 0, in,
              static_cast<const T*>(from), out, static_cast<T*>(to));
  }

  cuda::Product product_, wide_;
  std::optional<cuda::MatmulPlan> plan_;
};

}  // namespace winnow::detail
