// The CPU's loops over a BroadcastPlan.
#pragma once
#include <utility>

#include "core/parallel.h"
#include "ops/detail/blocks.h"
#include "ops/detail/broadcast_plan.h"
#include "ops/detail/grain.h"

namespace winnow::detail {

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
