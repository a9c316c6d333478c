// NumPy broadcasting of K inputs into one output, as rows: axes along which every input advances alike are merged, and
// the innermost merged axis is walked with strides of one or none, so that the loop over it vectorises.
#pragma once
#include <array>
#include <utility>

#include "core/parallel.h"
#include "core/shape.h"
#include "ops/detail/blocks.h"
#include "ops/detail/grain.h"

namespace winnow::detail {

template <int K>
using Offsets = std::array<int64_t, K>;

template <int K>
struct BroadcastPlan {
  int axes = 0;  // outside the innermost one
  std::array<int64_t, Shape::kMaxRank> extent{};
  std::array<Offsets<K>, Shape::kMaxRank> stride{};  // in elements; 0 where the input is repeated
  int64_t rows = 1, inner = 1;
  unsigned dense = 0;  // bit k: input k advances along the innermost axis
};

// The distance, in elements of `in`, between neighbours along an axis of `out`; 0 where `in` is repeated.
inline int64_t broadcast_stride(const Shape& out, const Shape& in, int axis) {
  const int a = axis - (out.rank() - in.rank());
  return a < 0 || in[a] == 1 ? 0 : in.inner(a);
}

template <int K>
BroadcastPlan<K> plan_broadcast(const Shape& out, const std::array<Shape, K>& in) {
  std::array<int64_t, Shape::kMaxRank> extent{};
  std::array<Offsets<K>, Shape::kMaxRank> stride{};
  int n = 0;  // merged axes, innermost first
  for (int axis = out.rank() - 1; axis >= 0; --axis) {
    if (out[axis] == 1) continue;
    Offsets<K> s{};
    for (size_t k = 0; k < K; ++k) s[k] = broadcast_stride(out, in[k], axis);
    bool merges = n > 0;
    for (size_t k = 0; k < K && merges; ++k)
      merges = s[k] == stride[static_cast<size_t>(n - 1)][k] * extent[static_cast<size_t>(n - 1)];
    if (merges) {
      extent[static_cast<size_t>(n - 1)] *= out[axis];
      continue;
    }
    extent[static_cast<size_t>(n)] = out[axis];
    stride[static_cast<size_t>(n++)] = s;
  }
  BroadcastPlan<K> p;
  if (n > 0) {
    p.inner = extent[0];
    for (size_t k = 0; k < K; ++k) p.dense |= stride[0][k] != 0 ? 1u << k : 0u;
  }
  for (int a = n - 1; a > 0; --a, ++p.axes) {
    p.extent[static_cast<size_t>(p.axes)] = extent[static_cast<size_t>(a)];
    p.stride[static_cast<size_t>(p.axes)] = stride[static_cast<size_t>(a)];
    p.rows *= extent[static_cast<size_t>(a)];
  }
  return p;
}

template <int K>
Offsets<K> row_offsets(const BroadcastPlan<K>& p, int64_t row) {
  Offsets<K> o{};
  for (int a = p.axes - 1; a >= 0; --a) {
    const int64_t i = row % p.extent[static_cast<size_t>(a)];
    row /= p.extent[static_cast<size_t>(a)];
    for (size_t k = 0; k < K; ++k) o[k] += i * p.stride[static_cast<size_t>(a)][k];
  }
  return o;
}

// f(out, in, n): n elements of one row, from element `out` of the output and in[k] of each input.
template <int K, class F>
void for_rows(const BroadcastPlan<K>& p, F&& f) {
  if (p.inner <= 0) return;
  if (p.inner > kBlockElements) {  // long rows are cut, at places that the shape alone decides
    const int64_t pieces = (p.inner + kBlockElements - 1) / kBlockElements;
    parallel_for(p.rows * pieces, grain(kBlockElements), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i / pieces, first = i % pieces * kBlockElements;
        Offsets<K> in = row_offsets(p, row);
        for (size_t k = 0; k < K; ++k) in[k] += (p.dense >> k & 1u) != 0 ? first : 0;
        f(row * p.inner + first, in, std::min(kBlockElements, p.inner - first));
      }
    });
    return;
  }
  parallel_for(p.rows, grain(p.inner), [&](int64_t begin, int64_t end) {
    Offsets<K> in = row_offsets(p, begin);
    const int last = p.axes - 1;
    for (int64_t row = begin; row < end; ++row) {
      f(row * p.inner, in, p.inner);
      const bool next_in_axis = last >= 0 && (row + 1) % p.extent[static_cast<size_t>(last)] != 0;
      if (next_in_axis)
        for (size_t k = 0; k < K; ++k) in[k] += p.stride[static_cast<size_t>(last)][k];
      else
        in = row_offsets(p, row + 1);
    }
  });
}

// f(std::integral_constant<unsigned, p.dense>): the pattern of the innermost axis as a constant.
template <int K, class F>
void visit_dense(const BroadcastPlan<K>& p, F&& f) {
  [&]<unsigned... I>(std::integer_sequence<unsigned, I...>) {
    ((p.dense == I ? f(std::integral_constant<unsigned, I>{}) : void()), ...);
  }
  (std::make_integer_sequence<unsigned, 1u << K>{});
}

// Element i of a row: p[i], or p[0] when the input is repeated along it.
template <bool kDense, class T>
struct RowOperand {
  const T* p;
  explicit RowOperand(const T* data) : p(data) {}
  T operator[](int64_t i) const { return p[i]; }
};
template <class T>
struct RowOperand<false, T> {
  T value;  // a copy: a store to the output must not force a reload
  explicit RowOperand(const T* data) : value(*data) {}
  T operator[](int64_t) const { return value; }
};

// For references: the element of `in` that element i of `out` reads.
inline int64_t broadcast_offset(const Shape& out, const Shape& in, int64_t i) {
  int64_t offset = 0;
  for (int axis = out.rank() - 1; axis >= 0; --axis) {
    offset += i % out[axis] * broadcast_stride(out, in, axis);
    i /= out[axis];
  }
  return offset;
}

}  // namespace winnow::detail
