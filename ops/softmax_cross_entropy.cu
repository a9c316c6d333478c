// softmax_cross_entropy and its gradient. Rows that fit in registers are read once; of larger vocabularies the largest
// logit and the sum of exponentials are taken in one pass (the sum is rescaled when the largest grows), and the
// gradient reads the row a second time, from the second-level cache. Sums are in double: 1 - p of a certain label is
// what remains of them.
#include "core/cuda/rows.h"
#include "core/cuda/totals.h"

namespace winnow {
namespace {

using cuda::Largest, cuda::LossScale, cuda::Row, cuda::RowLaunch, cuda::RowValues, cuda::Sum, cuda::Totals, cuda::map,
    cuda::map_places;

constexpr unsigned kVocabularyThreads = 512;
constexpr float kLowest = std::numeric_limits<float>::lowest(), kInf = std::numeric_limits<float>::infinity();

struct Problem {
  const float* logits;
  const int64_t* labels;
  const float* weights;  // null: all 1
  int64_t rows, classes;
  double smoothing, share;  // share: smoothing / classes
  // 0 where the label is missing
  __device__ float weight(int64_t row) const {
    const int64_t label = labels[row];
    return label < 0 || label >= classes ? 0.0f : weights == nullptr ? 1.0f : weights[row];
  }
};

// Of a row: the largest logit, the sum of e^(x - largest), the sum of x where labels are smoothed.
struct RowSums {
  float most;
  double z, x;
};
__device__ double loss_of(const Problem& p, const RowSums& s, float logit) {
  double loss = std::log(s.z) + (1 - p.smoothing) * static_cast<double>(s.most - logit);
  if (p.smoothing > 0) loss += p.smoothing * static_cast<double>(s.most) - p.share * s.x;
  return loss;
}
// dx of one element of exponential e.
struct ElementGradient {
  double z, inverse, of_label;
  float inverse_f, share, scale;
  unsigned label;
  __device__ ElementGradient(const Problem& p, const RowSums& s, float scale_, int64_t label_)
      : z(s.z),
        inverse(1 / s.z),
        of_label(p.smoothing - p.share),
        inverse_f(static_cast<float>(inverse)),
        share(static_cast<float>(p.share)),
        scale(scale_),
        label(static_cast<unsigned>(label_)) {}
  __device__ float operator()(float e, unsigned place) const {
    if (place != label) return scale * fmaf(e, inverse_f, -share);
    return scale * static_cast<float>(of_label - (z - static_cast<double>(e)) * inverse);
  }
};

__device__ double in_double(float v) { return static_cast<double>(v); }
__device__ double in_double(float4 v) {
  return (static_cast<double>(v.x) + static_cast<double>(v.y)) + (static_cast<double>(v.z) + static_cast<double>(v.w));
}

// ---- rows in registers

// Leaves the exponentials in x.
template <class L>
__device__ RowSums sums_of(const Problem& p, const Row<L>& row, RowValues<L>& x) {
  const Largest largest;
  RowSums s{-kInf, 0, 0};
  row.each([&](unsigned, unsigned k) { s.most = largest(s.most, cuda::largest(x.value[k])); });
  s.most = row.reduce(s.most, largest);
  row.each([&](unsigned, unsigned k) {
    if (p.smoothing > 0) s.x += in_double(x.value[k]);
    x.value[k] = map([top = s.most](float v) { return std::exp(v - top); }, x.value[k]);
    s.z += in_double(x.value[k]);
  });
  row.reduce_each(Sum(), s.z, s.x);
  return s;
}
// The row, without its elements where it has no weight.
template <class L>
__device__ Row<L> weighted(const Row<L>& row, float weight) {
  Row<L> r = row;
  if (weight == 0.0f) r.packs = 0;
  return r;
}

template <class L>
__global__ void __launch_bounds__(L::kMostThreads) loss_rows(Problem p, double* loss, unsigned lanes, unsigned packs) {
  cuda::each_row<L>(lanes, p.rows, packs, [&](const Row<L>& all) {
    const float weight = all.packs > 0 ? p.weight(all.index) : 0.0f;
    const Row<L> row = weighted(all, weight);
    const float* logits = p.logits + all.index * p.classes;
    RowValues<L> x;
    x.load(row, logits);
    const RowSums s = sums_of(p, row, x);
    if (!all.first()) return;
    loss[all.index] = weight == 0.0f ? 0 : static_cast<double>(weight) * loss_of(p, s, logits[p.labels[all.index]]);
  });
}
template <class L>
__global__ void __launch_bounds__(L::kMostThreads)
    gradient_rows(Problem p, LossScale mean, float* dx, unsigned lanes, unsigned packs) {
  const double scale = mean();
  cuda::each_row<L>(lanes, p.rows, packs, [&](const Row<L>& all) {
    const float weight = all.packs > 0 ? p.weight(all.index) : 0.0f;
    const Row<L> row = weighted(all, weight);
    const int64_t at = all.index * p.classes;
    RowValues<L> x;
    x.load(row, p.logits + at);
    const RowSums s = sums_of(p, row, x);
    if (weight == 0.0f) {
      all.each([&](unsigned j, unsigned) { all.store(dx + at, j, typename L::Pack()); });
      return;
    }
    const ElementGradient f(p, s, static_cast<float>(scale * static_cast<double>(weight)), p.labels[all.index]);
    row.each([&](unsigned j, unsigned k) { row.store(dx + at, j, map_places(f, j * L::kWidth, x.value[k])); });
  });
}

// ---- larger vocabularies: a block has a row, which begins anywhere

// Elements of a row up to the first that lies at 16 bytes.
__device__ unsigned elements_before_vectors(const float* row, unsigned n) {
  const auto before = static_cast<unsigned>(-(reinterpret_cast<intptr_t>(row) / 4)) & 3u;
  return before < n ? before : n;
}
// f(place of the first, elements) for batches: 16 elements as four vectors, the absent ones -inf; single ones likewise.
template <class Batch, class One>
__device__ void each_batch(const float* row, unsigned n, Batch batch, One one) {
  const unsigned head = elements_before_vectors(row, n), vectors = (n - head) / 4, threads = blockDim.x;
  const auto* const data = reinterpret_cast<const float4*>(row + head);
  for (unsigned first = threadIdx.x; first < vectors; first += 4 * threads) {
    float4 v[4];
    for (unsigned i = 0; i < 4; ++i)
      v[i] = first + i * threads < vectors ? data[first + i * threads] : make_float4(-kInf, -kInf, -kInf, -kInf);
    batch(first, head, vectors, v);
  }
  if (threadIdx.x < head) one(threadIdx.x, row[threadIdx.x]);
  if (const unsigned tail = head + 4 * vectors + threadIdx.x; tail < n) one(tail, row[tail]);
}

__device__ RowSums sums_of_vocabulary(const Problem& p, const float* row, double* parts) {
  const Largest largest;
  const auto n = static_cast<unsigned>(p.classes);
  RowSums s{kLowest, 0, 0};  // not -inf, from which nothing can be subtracted
  const bool smoothed = p.smoothing > 0;
  const auto grow = [&](float top) {
    s.z *= static_cast<double>(std::exp(s.most - top));
    s.most = top;
  };
  each_batch(
      row, n,
      [&](unsigned first, unsigned, unsigned vectors, const float4* v) {
        float top = s.most;
        for (int i = 0; i < 4; ++i) top = largest(top, cuda::largest(v[i]));
        grow(top);
        for (unsigned i = 0; i < 4; ++i) {
          s.z += in_double(map([top](float x) { return std::exp(x - top); }, v[i]));
          if (smoothed && first + i * blockDim.x < vectors) s.x += in_double(v[i]);
        }
      },
      [&](unsigned, float x) {
        grow(largest(s.most, x));
        s.z += static_cast<double>(std::exp(x - s.most));
        if (smoothed) s.x += static_cast<double>(x);
      });
  grow(cuda::block_reduce(s.most, largest, reinterpret_cast<float*>(parts)));
  s.z = cuda::block_reduce(s.z, Sum(), parts);
  if (smoothed) s.x = cuda::block_reduce(s.x, Sum(), parts);
  return s;
}

__global__ void __launch_bounds__(kVocabularyThreads, 2) loss_vocabulary(Problem p, double* loss) {
  WN_SHARED(double, parts, [33]);
  for (int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const float weight = p.weight(row), *logits = p.logits + row * p.classes;
    double value = 0;
    if (weight != 0.0f) {
      const RowSums s = sums_of_vocabulary(p, logits, &parts[0]);
      value = static_cast<double>(weight) * loss_of(p, s, logits[p.labels[row]]);
    }
    if (threadIdx.x == 0) loss[row] = value;
  }
}
// dx may be the logits: a thread writes the elements that it read itself.
__global__ void __launch_bounds__(kVocabularyThreads, 2) gradient_vocabulary(Problem p, LossScale mean, float* dx) {
  WN_SHARED(double, parts, [33]);
  const double scale = mean();
  const auto n = static_cast<unsigned>(p.classes);
  for (int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const float weight = p.weight(row), *logits = p.logits + row * p.classes;
    float* to = dx + row * p.classes;
    if (weight == 0.0f) {
      for (unsigned i = threadIdx.x; i < n; i += blockDim.x) to[i] = 0;
      continue;
    }
    const RowSums s = sums_of_vocabulary(p, logits, &parts[0]);
    const ElementGradient f(p, s, static_cast<float>(scale * static_cast<double>(weight)), p.labels[row]);
    const auto of = [&f, top = s.most](float x, unsigned place) { return f(std::exp(x - top), place); };
    each_batch(
        logits, n,
        [&](unsigned first, unsigned head, unsigned vectors, const float4* v) {
          auto* const vectors_to = reinterpret_cast<float4*>(to + head);
          for (unsigned i = 0; i < 4; ++i)
            if (const unsigned j = first + i * blockDim.x; j < vectors)
              vectors_to[j] = map_places(of, head + 4 * j, v[i]);
        },
        [&](unsigned place, float x) { to[place] = of(x, place); });
  }
}

// ---- the operators

struct State {
  double smoothing;
  int64_t rows, classes;
  State(const NodeSpec& node, size_t first)
      : smoothing(node.attrs.number("label_smoothing", 0)),
        rows(node.in[first + 1].shape.numel()),
        classes(node.in[first].shape.back()) {}
};
Problem problem_of(const Call& c, int first) {
  const auto& s = c.state<State>();
  const bool weighted = c.spec->in.size() == static_cast<size_t>(first) + 3;
  return {c.in<float>(first),
          c.in<int64_t>(first + 1),
          weighted ? c.in<float>(first + 2) : nullptr,
          s.rows,
          s.classes,
          s.smoothing,
          s.smoothing / static_cast<double>(s.classes)};
}
struct RowTotals {
  Problem p;
  const double* loss;  // null: weights alone are wanted
  __device__ Totals operator()(int64_t row) const {
    return {loss == nullptr ? 0.0 : loss[row], static_cast<double>(p.weight(row))};
  }
};
const char* reject(const NodeSpec& node, const DeviceInfo& device) {
  for (const TensorSpec& in : node.in)
    if (in.shape.rank() > 0 && in.shape.back() > (int64_t{1} << 31)) return "more than 2^31 classes";
  return cuda::reject_all_but_f32(node, device);
}

// Scratch: the loss of each row, then the parts of their totals.
void prepare_loss(const NodeSpec& node, Prepare& p) {
  const auto& s = p.state<State>(node, size_t{0});
  p.scratch(static_cast<size_t>(s.rows) * sizeof(double) + cuda::totals_bytes(s.rows));
}
void run_loss(const Call& c) {
  const Problem p = problem_of(c, 0);
  auto* const loss = c.scratch_as<double>();
  if (p.rows > 0)
    cuda::with_row_layout(p.classes, [&]<class L>(RowLaunch l) {
      if constexpr (L::kPacks > 0)
        cuda::run(c, loss_rows<L>, l.blocks<L>(p.rows), l.threads, 0, p, loss, l.lanes, l.packs);
      else
        cuda::run(c, loss_vocabulary, cuda::grid(p.rows, 1), kVocabularyThreads, 0, p, loss);
    });
  cuda::totals(c, p.rows, loss + p.rows, RowTotals{p, loss}, cuda::StoreMean{c.out<float>(0)});
}
// Scratch: the sum of the weights, then its parts.
void prepare_gradient(const NodeSpec& node, Prepare& p) {
  p.scratch(sizeof(Totals) + cuda::totals_bytes(p.state<State>(node, size_t{1}).rows));
}
void run_gradient(const Call& c) {
  const Problem p = problem_of(c, 1);
  if (p.rows == 0) return;
  auto* const weight = c.scratch_as<double>();
  cuda::totals(c, p.rows, c.scratch_as<Totals>() + 1, RowTotals{p, nullptr}, cuda::StoreWeight{weight});
  const LossScale mean{c.in<float>(0), weight, 0};
  float* const dx = c.out<float>(0);
  cuda::with_row_layout(p.classes, [&]<class L>(RowLaunch l) {
    if constexpr (L::kPacks > 0)
      cuda::run(c, gradient_rows<L>, l.blocks<L>(p.rows), l.threads, 0, p, mean, dx, l.lanes, l.packs);
    else
      cuda::run(c, gradient_vocabulary, cuda::grid(p.rows, 1), kVocabularyThreads, 0, p, mean, dx);
  });
}

}  // namespace

void register_softmax_cross_entropy_cuda(Registry& r) {
  r.add_kernel("softmax_cross_entropy",
               {.name = "rows", .device = Device::CUDA, .reject = reject, .prepare = prepare_loss, .run = run_loss});
  r.add_kernel(
      "softmax_cross_entropy_grad",
      {.name = "rows", .device = Device::CUDA, .reject = reject, .prepare = prepare_gradient, .run = run_gradient});
}

}  // namespace winnow
