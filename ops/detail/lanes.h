// Sums and extrema over contiguous elements, vectorised for float and double. The order of the additions depends on n
// only: four 32-byte accumulators walk the row, are added as a tree, and the tail follows one by one.
#pragma once
#include <cstdint>
#include <cstring>

namespace winnow::detail {

template <class T>
struct Lanes;
template <>
struct Lanes<float> {
  typedef float Vec __attribute__((vector_size(32)));
};
template <>
struct Lanes<double> {
  typedef double Vec __attribute__((vector_size(32)));
};
template <class T>
using Vec = typename Lanes<T>::Vec;
template <class T>
inline constexpr int64_t kLanes = 32 / static_cast<int64_t>(sizeof(T));

template <class T>
inline Vec<T> load(const T* p) {
  Vec<T> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
inline void store(T* p, Vec<T> v) {
  std::memcpy(p, &v, sizeof v);
}

// sum over j < n of f(p[j]...); f takes vectors as well as scalars of T.
template <class T, class F, class... P>
inline T row_sum(int64_t n, F f, const P*... p) {
  constexpr int64_t w = kLanes<T>;
  Vec<T> a0{}, a1{}, a2{}, a3{};
  int64_t j = 0;
  for (; j + 4 * w <= n; j += 4 * w) {
    a0 += f(load(p + j)...);
    a1 += f(load(p + j + w)...);
    a2 += f(load(p + j + 2 * w)...);
    a3 += f(load(p + j + 3 * w)...);
  }
  for (; j + w <= n; j += w) a0 += f(load(p + j)...);
  const Vec<T> a = (a0 + a1) + (a2 + a3);
  T sum = 0;
  for (int64_t i = 0; i < w / 2; ++i) sum += a[i] + a[i + w / 2];
  for (; j < n; ++j) sum += f(p[j]...);
  return sum;
}
template <class T>
inline T row_sum(int64_t n, const T* x) {
  return row_sum<T>(
      n, [](auto v) { return v; }, x);
}

// The largest (kMax) or smallest of n >= 1 elements; NaN when there is one.
template <bool kMax, class V>
inline V pick(V best, V x) {
  if constexpr (kMax)
    return ((x > best) | (x != x)) ? x : best;
  else
    return ((x < best) | (x != x)) ? x : best;
}
template <bool kMax, class T>
inline T row_extremum(int64_t n, const T* x) {
  constexpr int64_t w = kLanes<T>;
  T best = x[0];
  int64_t j = 0;
  if (n >= 4 * w) {
    Vec<T> a0 = load(x), a1 = load(x + w), a2 = load(x + 2 * w), a3 = load(x + 3 * w);
    for (j = 4 * w; j + 4 * w <= n; j += 4 * w) {
      a0 = pick<kMax>(a0, load(x + j));
      a1 = pick<kMax>(a1, load(x + j + w));
      a2 = pick<kMax>(a2, load(x + j + 2 * w));
      a3 = pick<kMax>(a3, load(x + j + 3 * w));
    }
    a0 = pick<kMax>(pick<kMax>(a0, a1), pick<kMax>(a2, a3));
    for (int64_t i = 0; i < w; ++i) best = pick<kMax, T>(best, a0[i]);
  }
  for (; j < n; ++j) best = pick<kMax, T>(best, x[j]);
  return best;
}

}  // namespace winnow::detail
