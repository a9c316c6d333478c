// softmax, log_softmax and logsumexp over rows, and their gradients: one pass over memory for rows of up to 16384
// elements (4096 where their number is no multiple of 4), longer ones are read again for each step.
#include "core/cuda/kernel.h"
#include "core/cuda/rows.h"

namespace winnow {
namespace {

using cuda::Largest, cuda::Row, cuda::RowLaunch, cuda::RowValues, cuda::Sum, cuda::map, cuda::total;

constexpr float kInf = std::numeric_limits<float>::infinity();

struct RowOperands {
  const float *a, *b, *c;
  float* y;
  int64_t n;
};

template <class L>
__device__ float largest_of(const Row<L>& row, const RowValues<L>& x) {
  const Largest most;
  float top = -kInf;
  row.each([&](unsigned j, unsigned k) { top = most(top, cuda::largest(x.at(j, k))); });
  return row.reduce(top, most);
}
// Sum of e^(x - top). kKeep: rows in registers become the terms.
template <bool kKeep, class L>
__device__ float exponentials(const Row<L>& row, RowValues<L>& x, float top) {
  float sum = 0;
  row.each([&](unsigned j, unsigned k) {
    const auto e = map([top](float v) { return std::exp(v - top); }, x.at(j, k));
    if constexpr (kKeep && L::kPacks > 0) x.value[k] = e;
    sum += total(e);
  });
  return row.reduce(sum, Sum());
}

// y of softmax or log_softmax from a = x. A row of -inf only has no exponentials: 0, -inf.
template <class L, bool kLog>
__global__ void __launch_bounds__(L::kMostThreads)
    softmax_rows(RowOperands o, unsigned lanes, int64_t rows, unsigned packs) {
  cuda::each_row<L>(lanes, rows, packs, [&](const Row<L>& row) {
    const int64_t at = row.index * o.n;
    RowValues<L> x;
    x.load(row, o.a + at);
    const float top = largest_of(row, x), sum = exponentials<!kLog>(row, x, top);
    const float scale = 1.0f / sum, rest = kLog ? std::log(sum) : 0.0f;
    const bool none = top == -kInf;
    row.each([&](unsigned j, unsigned k) {
      row.store(o.y + at, j,
                map(
                    [=](float v) {
                      if constexpr (kLog) return none ? -kInf : (v - top) - rest;
                      const float e = L::kPacks > 0 ? v : std::exp(v - top);
                      return none ? 0.0f : e * scale;
                    },
                    x.at(j, k)));
    });
  });
}
// dx from a = dy and b = y: y (dy - sum dy y), or dy - e^y sum dy.
template <class L, bool kLog>
__global__ void __launch_bounds__(L::kMostThreads)
    softmax_gradient_rows(RowOperands o, unsigned lanes, int64_t rows, unsigned packs) {
  cuda::each_row<L>(lanes, rows, packs, [&](const Row<L>& row) {
    const int64_t at = row.index * o.n;
    RowValues<L> dy, y;
    dy.load(row, o.a + at);
    y.load(row, o.b + at);
    float sum = 0;
    row.each([&](unsigned j, unsigned k) {
      sum += total(map([](float d, float v) { return kLog ? d : d * v; }, dy.at(j, k), y.at(j, k)));
    });
    sum = row.reduce(sum, Sum());
    row.each([&](unsigned j, unsigned k) {
      row.store(o.y + at, j,
                map([sum](float d, float v) { return kLog ? d - std::exp(v) * sum : v * (d - sum); }, dy.at(j, k),
                    y.at(j, k)));
    });
  });
}

// y [rows] from a = x.
template <class L>
__global__ void __launch_bounds__(L::kMostThreads)
    logsumexp_rows(RowOperands o, unsigned lanes, int64_t rows, unsigned packs) {
  cuda::each_row<L>(lanes, rows, packs, [&](const Row<L>& row) {
    RowValues<L> x;
    x.load(row, o.a + row.index * o.n);
    const float top = largest_of(row, x), sum = exponentials<false>(row, x, top);
    if (!row.first()) return;
    const bool infinite = top == kInf || top == -kInf;
    o.y[row.index] = infinite ? top : static_cast<float>(static_cast<double>(top) + std::log(static_cast<double>(sum)));
  });
}
// dx from a = dy [rows], b = x and c = y [rows].
template <class L>
__global__ void __launch_bounds__(L::kMostThreads)
    logsumexp_gradient_rows(RowOperands o, unsigned lanes, int64_t rows, unsigned packs) {
  cuda::each_row<L>(lanes, rows, packs, [&](const Row<L>& row) {
    if (row.packs == 0) return;
    const int64_t at = row.index * o.n;
    const float dy = o.a[row.index], y = o.c[row.index];
    RowValues<L> x;
    x.load(row, o.b + at);
    row.each([&](unsigned j, unsigned k) {
      row.store(o.y + at, j, map([=](float v) { return y == -kInf ? 0.0f : dy * std::exp(v - y); }, x.at(j, k)));
    });
  });
}

struct OfSoftmax {
  template <class L>
  static auto kernel() {
    return softmax_rows<L, false>;
  }
};
struct OfLogSoftmax {
  template <class L>
  static auto kernel() {
    return softmax_rows<L, true>;
  }
};
struct OfSoftmaxGradient {
  template <class L>
  static auto kernel() {
    return softmax_gradient_rows<L, false>;
  }
};
struct OfLogSoftmaxGradient {
  template <class L>
  static auto kernel() {
    return softmax_gradient_rows<L, true>;
  }
};
struct OfLogsumexp {
  template <class L>
  static auto kernel() {
    return logsumexp_rows<L>;
  }
};
struct OfLogsumexpGradient {
  template <class L>
  static auto kernel() {
    return logsumexp_gradient_rows<L>;
  }
};

// kRows: the input whose rows are walked.
template <class Of, int kRows>
void run(const Call& c) {
  const int64_t n = c.in_spec(kRows).shape.back();
  if (n == 0 || c.in_numel(kRows) == 0) return;
  const size_t inputs = c.spec->in.size();
  const RowOperands o{c.in<float>(0), inputs > 1 ? c.in<float>(1) : nullptr, inputs > 2 ? c.in<float>(2) : nullptr,
                      c.out<float>(0), n};
  const int64_t rows = c.in_numel(kRows) / n;
  cuda::with_row_layout(n, [&]<class L>(RowLaunch l) {
    cuda::run(c, Of::template kernel<L>(), l.blocks<L>(rows), l.threads, 0, o, l.lanes, rows, l.packs);
  });
}

}  // namespace

void register_softmax_cuda(Registry& r) {
  const auto add = [&](const char* op, void (*run_op)(const Call&)) {
    r.add_kernel(op, {.name = "rows", .device = Device::CUDA, .reject = cuda::reject_all_but_f32, .run = run_op});
  };
  add("softmax", run<OfSoftmax, 0>);
  add("softmax_grad", run<OfSoftmaxGradient, 0>);
  add("log_softmax", run<OfLogSoftmax, 0>);
  add("log_softmax_grad", run<OfLogSoftmaxGradient, 0>);
  add("logsumexp", run<OfLogsumexp, 0>);
  add("logsumexp_grad", run<OfLogsumexpGradient, 1>);
}

}  // namespace winnow
