// N neighbouring elements that are loaded and stored as one: their address is a multiple of N sizeof(T), at most 16.
#pragma once
#include <cstdint>

#include "core/cuda/cuda.h"

namespace winnow::cuda {

template <class T, int N>
struct alignas(sizeof(T) * N) Vector {
  T v[N];
};
template <int N, class T>
__device__ Vector<T, N> load_vector(const T* p) {
  return *reinterpret_cast<const Vector<T, N>*>(p);
}
template <int N, class T>
__device__ void store_vector(T* p, const Vector<T, N>& vector) {
  *reinterpret_cast<Vector<T, N>*>(p) = vector;
}
inline bool is_aligned(const void* p, size_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

}  // namespace winnow::cuda
