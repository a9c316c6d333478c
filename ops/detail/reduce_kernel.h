// Reductions over axes on a CUDA device, in an order that the shape alone decides. Bound by reading x once.
//   rows     the innermost axis is reduced: 1 to 32 lanes, or a block, for each output
//   columns  it is kept: neighbouring threads take neighbouring outputs, several threads the terms of one
// Few outputs of many terms are cut into ranges of terms whose results are reduced by a second launch.
//
//   struct C { using Value = float; static Value identity(); static Value f(Value, Value); };       combines two
//   struct Term { static constexpr bool kPacks; bool aligned() const;                               term t of output o
//                 template <int N> Vector<Value, N> get(int64_t at, int64_t o, int64_t t) const; };   lies at `at`
//   prepare: ReducePlan plan = plan_reduction(axes); p.scratch(plan.partials() * sizeof(Value));
//   run:     reduce<C>(call, plan, Elements{x}, finish, y, scratch);                                y[o] =
//   finish(value)
#pragma once
#include <algorithm>
#include <bit>

#include "core/cuda/kernel.h"
#include "core/cuda/reduce.h"
#include "core/cuda/vector.h"
#include "ops/detail/axes.h"

namespace winnow::detail {

constexpr unsigned kReduceThreads = 256;
constexpr int64_t kFullDevice = 1 << 18;  // threads that keep a device busy: 132 multiprocessors of 2048
constexpr int64_t kMostAddressed = (int64_t{1} << 32) - 1;

// Where output o begins in x, and how far its term t lies from there.
struct RowTerms {
  int64_t terms;
  __device__ int64_t base(int64_t o) const { return o * terms; }
  __device__ int64_t at(int64_t t) const { return t; }
};
struct ColumnTerms {
  int64_t terms, inner;
  __device__ int64_t base(int64_t o) const {
    // a 64-bit division costs as much as reading a few terms
    const int64_t outer = (o | inner) >> 32 == 0 ? static_cast<uint32_t>(o) / static_cast<uint32_t>(inner) : o / inner;
    return outer * (terms - 1) * inner + o;
  }
  __device__ int64_t at(int64_t t) const { return t * inner; }
};
struct ScatteredTerms {  // of tensors of fewer than 2^32 elements
  struct Axis {
    uint32_t extent, stride;
  };
  Axis kept[Shape::kMaxRank], reduced[Shape::kMaxRank];
  int kept_rank, reduced_rank;

  explicit ScatteredTerms(const Axes& axes) : kept_rank(axes.kept_rank), reduced_rank(axes.reduced_rank) {
    const auto narrow = [](const Axes::Axis& a) {
      return Axis{static_cast<uint32_t>(a.extent), static_cast<uint32_t>(a.stride)};
    };
    std::transform(axes.kept.begin(), axes.kept.end(), kept, narrow);
    std::transform(axes.reduced.begin(), axes.reduced.end(), reduced, narrow);
  }
  __device__ int64_t base(int64_t o) const { return offset(kept, kept_rank, static_cast<uint32_t>(o)); }
  __device__ int64_t at(int64_t t) const { return offset(reduced, reduced_rank, static_cast<uint32_t>(t)); }

 private:
  __device__ static int64_t offset(const Axis* axes, int rank, uint32_t i) {
    uint32_t sum = 0;
    for (int a = rank - 1; a >= 0; --a) {
      const uint32_t next = i / axes[a].extent;
      sum += (i - next * axes[a].extent) * axes[a].stride;
      i = next;
    }
    return sum;
  }
};

// Elements of x themselves, and results as they are.
template <class T>
struct Elements {
  static constexpr bool kPacks = sizeof(T) == 4;
  const T* x;
  bool aligned() const { return cuda::is_aligned(x, 16); }
  template <int N>
  __device__ cuda::Vector<T, N> get(int64_t at, int64_t, int64_t) const {
    return cuda::load_vector<N>(x + at);
  }
};
struct Unchanged {
  template <class T>
  __device__ T operator()(T value) const {
    return value;
  }
};

template <class C, int N, class G, class Term>
__device__ typename C::Value reduce_terms(const G& g, const Term& term, int64_t o, int64_t first, int64_t last,
                                          unsigned lane, unsigned lanes) {
  auto value = C::identity();
  const int64_t base = g.base(o), whole = first + (last > first ? (last - first) / N * N : 0);
#pragma unroll 4
  for (int64_t t = first + lane * N; t < whole; t += lanes * N) {
    const auto pack = term.template get<N>(base + g.at(t), o, t);
    for (int j = 0; j < N; ++j) value = C::f(value, pack.v[j]);
  }
  if constexpr (N > 1)
    for (int64_t t = whole + lane; t < last; t += lanes)
      value = C::f(value, term.template get<1>(base + g.at(t), o, t).v[0]);
  return value;
}

// `lanes` (a power of two up to 32) neighbouring threads for each output.
template <class C, int N, class G, class Term, class Finish, class Out>
__global__ void __launch_bounds__(kReduceThreads)
    reduce_by_lanes(const __grid_constant__ G g, int64_t outputs, int64_t terms, unsigned lanes, Term term,
                    Finish finish, Out* y) {
  const int64_t o = int64_t{blockIdx.x} * (kReduceThreads / lanes) + threadIdx.x / lanes;
  const unsigned lane = threadIdx.x % lanes;
  auto value = C::identity();
  if (o < outputs) value = reduce_terms<C, N>(g, term, o, 0, terms, lane, lanes);
  for (unsigned distance = lanes / 2; distance > 0; distance /= 2)
    value = C::f(value, __shfl_xor_sync(cuda::kAllLanes, value, static_cast<int>(distance)));
  if (o < outputs && lane == 0) y[o] = finish(value);
}

// y [outputs, ranges]: a block for each.
template <class C, int N, class G, class Term, class Finish, class Out>
__global__ void __launch_bounds__(kReduceThreads)
    reduce_by_blocks(const __grid_constant__ G g, int64_t terms, unsigned ranges, int64_t range, Term term,
                     Finish finish, Out* y) {
  WN_SHARED(typename C::Value, parts, [33]);
  const int64_t o = blockIdx.x / ranges, first = blockIdx.x % ranges * range;
  const int64_t last = first + range < terms ? first + range : terms;
  const auto value = cuda::block_reduce(
      reduce_terms<C, N>(g, term, o, first, last, threadIdx.x, kReduceThreads),
      [](auto a, auto b) { return C::f(a, b); }, parts);
  if (threadIdx.x == 0) y[blockIdx.x] = finish(value);
}

// y [ranges, outputs]: block (tile of outputs, range).
template <class C, int N, class G, class Term, class Finish, class Out>
__global__ void __launch_bounds__(kReduceThreads)
    reduce_columns(const __grid_constant__ G g, int64_t outputs, int64_t terms, int64_t range, unsigned lanes,
                   Term term, Finish finish, Out* y) {
  using Values = cuda::Vector<typename C::Value, N>;
  WN_SHARED(Values, tile, [kReduceThreads]);
  const unsigned columns = kReduceThreads / lanes, column = threadIdx.x % columns, lane = threadIdx.x / columns;
  const int64_t o = (int64_t{blockIdx.x} * columns + column) * N, first = blockIdx.y * range;
  const int64_t last = first + range < terms ? first + range : terms;
  Values values;
  for (int j = 0; j < N; ++j) values.v[j] = C::identity();
  if (o < outputs) {
    const int64_t base = g.base(o);
#pragma unroll 4
    for (int64_t t = first + lane; t < last; t += lanes) {
      const auto pack = term.template get<N>(base + g.at(t), o, t);
      for (int j = 0; j < N; ++j) values.v[j] = C::f(values.v[j], pack.v[j]);
    }
  }
  if (lanes > 1) {
    tile[threadIdx.x] = values;
    __syncthreads();
    if (lane == 0)
      for (unsigned l = 1; l < lanes; ++l) {
        const Values other = tile[l * columns + column];
        for (int j = 0; j < N; ++j) values.v[j] = C::f(values.v[j], other.v[j]);
      }
  }
  if (lane != 0 || o >= outputs) return;
  cuda::Vector<Out, N> out;
  for (int j = 0; j < N; ++j) out.v[j] = finish(values.v[j]);
  cuda::store_vector(y + blockIdx.y * outputs + o, out);
}

struct ReducePlan {
  Axes axes;
  bool columns = false;
  unsigned lanes = 1, ranges = 1;  // threads for an output; more than 32 lanes of rows are a block
  int64_t range = 0;               // terms of a range

  int64_t partials() const { return ranges > 1 ? axes.outputs * ranges : 0; }
};

inline ReducePlan plan_reduction(const Axes& axes) {
  ReducePlan p{.axes = axes};
  const int64_t terms = axes.terms, outputs = std::max<int64_t>(1, axes.outputs);
  p.columns = axes.reduced_rank > 0 && axes.last_reduced().stride != 1;
  int64_t ranges = 1;
  if (p.columns) {
    const int64_t threads = std::max<int64_t>(1, outputs / (axes.blocked && axes.inner % 4 == 0 ? 4 : 1));
    const unsigned most = threads >= 32 ? 8 : kReduceThreads / std::bit_ceil(static_cast<unsigned>(threads));
    while (p.lanes < most && terms / p.lanes >= 8 && threads * p.lanes < kFullDevice) p.lanes *= 2;
    ranges = std::min({kFullDevice / (threads * p.lanes), terms / (4 * p.lanes), int64_t{256}});
  } else if (terms <= 1024 || outputs >= kFullDevice / 32) {
    p.lanes = std::bit_ceil(static_cast<unsigned>(std::clamp<int64_t>((terms + 3) / 4, 1, 32)));
  } else {
    p.lanes = kReduceThreads;
    ranges = std::min(kFullDevice / (kReduceThreads * outputs), terms / 4096);
  }
  p.ranges = static_cast<unsigned>(std::max<int64_t>(1, ranges));
  p.range = (terms + p.ranges - 1) / p.ranges;
  p.range = (p.range + 3) / 4 * 4;  // keeps ranges aligned
  return p;
}
inline const char* reject_reduction(const Axes& axes) {
  return axes.blocked || axes.outputs * axes.terms <= kMostAddressed
             ? nullptr
             : "tensors of 2^32 elements are reduced over neighbouring axes only";
}

template <class C, int N, class G, class Term, class Finish, class Out>
void launch_reduction(const Call& c, const ReducePlan& p, const G& g, Term term, Finish finish, Out* y) {
  const int64_t outputs = p.axes.outputs, terms = p.axes.terms;
  constexpr int64_t kMostBlocks = 0x7fffffff;
  if (p.columns) {
    const unsigned blocks = cuda::grid(outputs / N, kReduceThreads / p.lanes, kMostBlocks).x;
    cuda::run(c, reduce_columns<C, N, G, Term, Finish, Out>, dim3(blocks, p.ranges), kReduceThreads, 0, g, outputs,
              terms, p.range, p.lanes, term, finish, y);
  } else if (p.lanes > 32) {
    cuda::run(c, reduce_by_blocks<C, N, G, Term, Finish, Out>, cuda::grid(outputs * p.ranges, 1, kMostBlocks),
              kReduceThreads, 0, g, terms, p.ranges, p.range, term, finish, y);
  } else {
    cuda::run(c, reduce_by_lanes<C, N, G, Term, Finish, Out>,
              cuda::grid(outputs, kReduceThreads / p.lanes, kMostBlocks), kReduceThreads, 0, g, outputs, terms, p.lanes,
              term, finish, y);
  }
}

// f(geometry)
template <class F>
void with_terms(const ReducePlan& p, F&& f) {
  if (!p.axes.blocked)
    f(ScatteredTerms(p.axes));
  else if (p.columns)
    f(ColumnTerms{p.axes.terms, p.axes.inner});
  else
    f(RowTerms{p.axes.terms});
}

template <class C, class Term, class Finish, class Out>
void reduce_once(const Call& c, const ReducePlan& p, Term term, Finish finish, Out* y) {
  with_terms(p, [&]<class G>(const G& g) {
    if constexpr (Term::kPacks && !std::is_same_v<G, ScatteredTerms>) {
      const bool packs = p.columns ? p.axes.inner % 4 == 0 : p.axes.terms % 4 == 0 || p.axes.outputs == 1;
      if (packs && term.aligned() && cuda::is_aligned(y, 16)) return launch_reduction<C, 4>(c, p, g, term, finish, y);
    }
    launch_reduction<C, 1>(c, p, g, term, finish, y);
  });
}

template <class C, class Term, class Finish, class Out>
void reduce(const Call& c, const ReducePlan& p, Term term, Finish finish, Out* y, void* scratch) {
  using Value = typename C::Value;
  if (p.axes.outputs == 0) return;
  if (p.ranges == 1) return reduce_once<C>(c, p, term, finish, y);
  auto* const partial = static_cast<Value*>(scratch);
  reduce_once<C>(c, p, term, Unchanged(), partial);
  Axes rest;  // [ranges, outputs] of columns, [outputs, ranges] of rows
  rest.blocked = true, rest.reduced_rank = 1;
  rest.outputs = p.axes.outputs, rest.terms = p.ranges;
  rest.inner = p.columns ? p.axes.outputs : 1;
  rest.reduced[0] = {rest.terms, p.columns ? std::max<int64_t>(2, rest.inner) : 1};
  ReducePlan second = plan_reduction(rest);
  second.ranges = 1, second.range = (rest.terms + 3) / 4 * 4;
  reduce_once<C>(c, second, Elements<Value>{partial}, finish, y);
}

}  // namespace winnow::detail
