// Attention by its formula, a row of weights at a time.
#include <omp.h>

#include <cmath>

#include "core/parallel.h"
#include "ops/detail/attention_spec.h"
#include "ops/detail/dropout_bits.h"
#include "ops/detail/factors.h"
#include "ops/detail/jagged_rows.h"

namespace winnow::detail {
namespace {

// One head over one sequence; T: of sums.
template <class Factor, class T>
struct Item {
  Item(const AttentionSpec& spec, const Call& c, int64_t item)
      : s(spec),
        head(item % spec.heads),
        rows(rows_of_bag(c.in<int64_t>(spec.first + 1), item / spec.heads, spec.tokens)),
        length(rows.end - rows.begin),
        q(c.in<Factor>(spec.first) + rows.begin * 3 * spec.hidden() + head * spec.dim),
        bias(spec.has_bias ? c.in<T>(spec.bias) + head * (2 * spec.reach + 1) : nullptr),
        step(spec.step >= 0 ? static_cast<uint64_t>(*c.in<int64_t>(spec.step)) : 0),
        first(first_element(item)) {}

  int64_t keys(int64_t i) const { return s.causal ? i + 1 : length; }
  const Factor* query(int64_t i) const { return q + i * 3 * s.hidden(); }
  const Factor* key(int64_t j) const { return query(j) + s.hidden(); }
  const Factor* value(int64_t j) const { return key(j) + s.hidden(); }
  int64_t place(int64_t i, int64_t j) const { return std::clamp(j - i, -s.reach, s.reach) + s.reach; }
  T score(int64_t i, int64_t j) const {
    T sum = 0;
    for (int64_t d = 0; d < s.dim; ++d) sum += static_cast<T>(query(i)[d]) * static_cast<T>(key(j)[d]);
    return sum * static_cast<T>(s.scale) + (bias != nullptr ? bias[place(i, j)] : T(0));
  }
  T kept(int64_t i, int64_t j) const {
    if (s.threshold == 0) return 1;
    const auto element = static_cast<int64_t>(first) + i * ((length + 7) / 8 * 8) + j;
    return static_cast<int32_t>(dropout_bits(s.philox, step, element)) < s.threshold ? T(0)
                                                                                     : static_cast<T>(s.keep_scale);
  }

  const AttentionSpec& s;
  int64_t head;
  RowRange rows;
  int64_t length;
  const Factor* q;
  const T* bias;
  uint64_t step, first;
};

template <class Factor, class T>
void forward_row(const Item<Factor, T>& it, int64_t i, T* weights, T* y, T* lse) {
  const int64_t n = it.keys(i);
  T top = -std::numeric_limits<T>::infinity(), sum = 0;
  for (int64_t j = 0; j < n; ++j) {
    weights[j] = it.score(i, j);
    top = std::max(top, weights[j]);
  }
  for (int64_t j = 0; j < n; ++j) sum += weights[j] = std::exp(weights[j] - top);
  *lse = top + std::log(sum);
  std::fill(y, y + it.s.dim, T(0));
  for (int64_t j = 0; j < n; ++j) {
    const T w = weights[j] / sum * it.kept(i, j);
    for (int64_t d = 0; d < it.s.dim; ++d) y[d] += w * static_cast<T>(it.value(j)[d]);
  }
}

template <class Factor, class T>
void backward_row(const Item<Factor, T>& it, int64_t i, const Factor* dy, const T* y, T lse, T* dqkv, T* dbias) {
  const int64_t dim = it.s.dim, row = 3 * it.s.hidden(), hidden = it.s.hidden();
  T delta = 0;
  for (int64_t d = 0; d < dim; ++d) delta += static_cast<T>(dy[d]) * y[d];
  T* dq = dqkv + i * row;
  for (int64_t j = 0; j < it.keys(i); ++j) {
    const T w = std::exp(it.score(i, j) - lse), kept = it.kept(i, j);
    T g = 0;
    for (int64_t d = 0; d < dim; ++d) g += static_cast<T>(dy[d]) * static_cast<T>(it.value(j)[d]);
    const T ds = w * (g * kept - delta), scaled = ds * static_cast<T>(it.s.scale);
    T *dk = dqkv + j * row + hidden, *dv = dk + hidden;
    for (int64_t d = 0; d < dim; ++d) {
      dq[d] += scaled * static_cast<T>(it.key(j)[d]);
      dk[d] += scaled * static_cast<T>(it.query(i)[d]);
      dv[d] += w * kept * static_cast<T>(dy[d]);
    }
    if (dbias != nullptr) dbias[it.place(i, j)] += ds;
  }
}

// An output as zeros of the type of sums: itself, or in scratch, where it is bf16 in the end.
template <class T>
struct Result {
  Result(const Call& c, int output) : scratch(c.scratch_as<T>()), data(scratch), size(c.out_numel(output)) {
    if (c.out_spec(output).dtype == DType::BF16)
      scratch += size;
    else
      data = c.out<T>(output);
    std::fill(data, data + size, T(0));
  }
  void store(const Call& c, int output) const {
    if (c.out_spec(output).dtype != DType::BF16) return;
    for (int64_t i = 0; i < size; ++i) c.out<bf16>(output)[i] = bf16(static_cast<float>(data[i]));
  }
  T *scratch, *data;  // scratch: what is left of it
  int64_t size;
};

}  // namespace

size_t attention_reference_scratch(const AttentionSpec& s, const TensorSpec& out, int threads) {
  const size_t weights = static_cast<size_t>(threads) * static_cast<size_t>(s.tokens),
               bias = s.has_bias ? static_cast<size_t>(s.items() * (2 * s.reach + 1)) : 0;
  const size_t result = out.dtype == DType::BF16 ? static_cast<size_t>(out.shape.numel()) : 0;
  return std::max<size_t>(
      64, (result + std::max(weights, bias)) * size_of(out.dtype == DType::F64 ? DType::F64 : DType::F32));
}

void attention_reference(const Call& c) {
  visit_factors(c.in_spec(0).dtype, "jagged_attention", [&]<class Factor, class T> {
    const auto& s = c.state<AttentionSpec>();
    const Result<T> y(c, 0);
    std::fill(c.out<T>(1), c.out<T>(1) + c.out_numel(1), T(0));
    parallel_tasks(s.items(), [&](int64_t item) {
      const Item<Factor, T> it(s, c, item);
      T* weights = y.scratch + omp_get_thread_num() * s.tokens;
      for (int64_t i = 0; i < it.length; ++i) {
        const int64_t t = it.rows.begin + i;
        forward_row(it, i, weights, y.data + t * s.hidden() + it.head * s.dim, c.out<T>(1) + t * s.heads + it.head);
      }
    });
    y.store(c, 0);
  });
}

void attention_grad_reference(const Call& c) {
  visit_factors(c.in_spec(0).dtype, "jagged_attention_grad", [&]<class Factor, class T> {
    const auto& s = c.state<AttentionSpec>();
    const int64_t width = 2 * s.reach + 1;
    const Result<T> dqkv(c, 0);
    T* parts = dqkv.scratch;
    const auto y_of = [&](int64_t at) {
      std::vector<T> y(static_cast<size_t>(s.dim));
      for (int64_t d = 0; d < s.dim; ++d)
        y[static_cast<size_t>(d)] =
            c.in_spec(3).dtype == DType::BF16 ? static_cast<T>(float{c.in<bf16>(3)[at + d]}) : c.in<T>(3)[at + d];
      return y;
    };
    if (s.has_bias) std::fill(parts, parts + s.items() * width, T(0));
    parallel_tasks(s.items(), [&](int64_t item) {
      const Item<Factor, T> it(s, c, item);
      for (int64_t i = 0; i < it.length; ++i) {
        const int64_t t = it.rows.begin + i, at = t * s.hidden() + it.head * s.dim;
        backward_row(it, i, c.in<Factor>(0) + at, y_of(at).data(), c.in<T>(4)[t * s.heads + it.head],
                     dqkv.data + it.rows.begin * 3 * s.hidden() + it.head * s.dim,
                     s.has_bias ? parts + item * width : nullptr);
      }
    });
    dqkv.store(c, 0);
    if (s.has_bias) add_up_bias(s, parts, c.out<T>(1));
  });
}

}  // namespace winnow::detail
