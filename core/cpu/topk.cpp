#include "core/cpu/topk.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>
#include <vector>

#include "core/cpu/vector_kernels.h"
#include "core/parallel.h"
#include "core/tensor.h"

namespace winnow::cpu {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr int64_t kFewQueries = 3;         // read by scan(); from here on the blocked product is faster
constexpr int64_t kGroup = 256;            // queries of one pass over the rows: beyond, memory is no longer the limit
constexpr int64_t kGroupRows = 1 << 22;    // of their buffers
constexpr int64_t kChunkFloats = 1 << 18;  // rows that a thread takes at a time
constexpr int64_t kBlockTiles = 4;         // tiles of rows that stay in the L1 cache beside a panel of queries
constexpr int64_t kAheadRows = 8;
constexpr int64_t kAheadFloats = 1024;  // a page: what the processor's own prefetcher does not cross

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

bool allowed(const TopkProblem& p, int64_t row) {
  return p.allowed == nullptr || (p.allowed[row / 64] >> (row % 64) & 1);
}

// One pass of a group of queries over all rows.
class Pass {
 public:
  Pass(const TopkProblem& p, int64_t first, int64_t count)
      : p_(p), kernels_(vector_kernels()), first_(first), count_(count), few_(count <= kFewQueries) {
    const int64_t work = p.n * p.d * count;
    chunk_ = std::max<int64_t>(kScanRows, round_up(kChunkFloats / p.d, kScanRows));
    threads_ = work < kChunkFloats || omp_in_parallel() != 0 ? 1 : num_threads();
    padded_ = few_ ? count : round_up(count, kernels_.panel);
    best_.resize(static_cast<size_t>(threads_ * count));
    for (BestRows& b : best_) b.reset(p.k);
    if (!few_) pack();
  }
  void run(ScoredRow* out) {
    std::atomic<int64_t> next_chunk{0}, next_slot{0};
    // Which thread takes which chunk leaves no trace: the best of all chunks are the same however they are dealt.
    auto work = [&](int64_t, int64_t) {
      BestRows* best = best_.data() + next_slot++ * count_;
      for (int64_t c; (c = next_chunk++) * chunk_ < p_.n;) {
        const int64_t begin = c * chunk_, end = std::min(p_.n, begin + chunk_);
        few_ ? scan(begin, end, best) : multiply(begin, end, best);
      }
    };
    if (threads_ == 1)
      work(0, 1);
    else
      parallel_for(threads_, 1, work);
    parallel_for(count_, 8, [&](int64_t begin, int64_t end) {
      for (int64_t q = begin; q < end; ++q) collect(q, out + q * p_.k);
    });
  }

 private:
  const float* query(int64_t q) const { return p_.queries + (first_ + q) * p_.d; }

  void pack() {
    const int64_t panel = kernels_.panel;
    packed_ = Tensor::zeros({DType::F32, {padded_ * p_.d}});
    float* to = packed_.data<float>();
    for (int64_t q = 0; q < count_; ++q)
      for (int64_t i = 0; i < p_.d; ++i) to[(q / panel * p_.d + i) * panel + q % panel] = query(q)[i];
  }

  void offer(BestRows& best, int64_t q, float score, int64_t row) const {
    const auto r = static_cast<int32_t>(row);
    if (!p_.may_find || p_.may_find(first_ + q, r)) best.offer(score, r);
  }

  void scan(int64_t begin, int64_t end, BestRows* best) const {
    float scores[kScanRows];
    for (int64_t i = begin; i < end; i += kScanRows) {
      const auto rows = static_cast<int>(std::min<int64_t>(kScanRows, end - i));
      const uint64_t may = p_.allowed == nullptr ? ~uint64_t{0} : p_.allowed[i / kScanRows];
      if (may == 0) continue;
      const int64_t ahead = (i + kScanRows) * p_.d + kAheadFloats <= p_.n * p_.d ? kAheadFloats : 0;
      for (int64_t q = 0; q < count_; ++q) {
        uint64_t above = may & kernels_.scan(query(q), p_.rows + i * p_.d, rows, p_.d, best[q].threshold(),
                                             q == 0 ? ahead : 0, scores);
        for (; above != 0; above &= above - 1) {
          const int r = std::countr_zero(above);
          if (scores[r] > best[q].threshold()) offer(best[q], q, scores[r], i + r);
        }
      }
    }
  }

  void multiply(int64_t begin, int64_t end, BestRows* best) const {
    const int64_t tile = kernels_.tile_rows, panel = kernels_.panel, block = kBlockTiles * tile;
    // Places without a query never pass.
    std::vector<float> thresholds(static_cast<size_t>(padded_), std::numeric_limits<float>::infinity());
    for (int64_t q = 0; q < count_; ++q) thresholds[static_cast<size_t>(q)] = best[q].threshold();
    alignas(64) float scores[kMaxTileRows * kMaxPanel];
    for (int64_t b = begin; b < end; b += block)
      for (int64_t q = 0; q < count_; q += panel) {
        float* threshold = thresholds.data() + q;
        const bool half = count_ - q <= panel / 2;
        const int64_t ahead = q == 0 && b + 2 * block <= p_.n ? block * p_.d : 0;
        for (int64_t i = b; i < std::min(end, b + block); i += tile) {
          const float* rows[kMaxTileRows];  // past the last: the last again, looked at no more
          for (int64_t r = 0; r < tile; ++r) rows[r] = p_.rows + std::min(i + r, end - 1) * p_.d;
          if (!kernels_.tile(rows, p_.d, packed_.data<float>() + q * p_.d, half, threshold, ahead, scores)) continue;
          take(i, std::min(end, i + tile), q, half ? panel / 2 : panel, scores, threshold, best);
        }
      }
  }
  void take(int64_t begin, int64_t end, int64_t q, int64_t queries, const float* scores, float* threshold,
            BestRows* best) const {
    for (int64_t i = begin; i < end; ++i) {
      if (!allowed(p_, i)) continue;
      const float* row = scores + (i - begin) * kernels_.panel;
      for (int64_t j = 0; j < queries; ++j) {
        if (!(row[j] > threshold[j])) continue;
        offer(best[q + j], q + j, row[j], i);
        threshold[j] = best[q + j].threshold();
      }
    }
  }

  void collect(int64_t q, ScoredRow* out) {
    BestRows& all = best_[static_cast<size_t>(q)];
    std::vector<ScoredRow> part(static_cast<size_t>(p_.k));
    for (int64_t t = 1; t < threads_; ++t) {
      const int64_t n = best_[static_cast<size_t>(t * count_ + q)].finish(part.data());
      for (int64_t i = 0; i < n; ++i) all.offer(part[static_cast<size_t>(i)].score, part[static_cast<size_t>(i)].row);
    }
    int64_t found = all.finish(out);
    if (!few_) found = rescore(q, out, found);
    std::fill(out + found, out + p_.k, ScoredRow{kLowest, -1});
  }

  // The blocked product adds in another order than dots().
  int64_t rescore(int64_t q, ScoredRow* out, int64_t found) const {
    constexpr int64_t kStep = 64;
    const float* rows[kStep];
    float scores[kStep];
    int64_t kept = 0;
    for (int64_t i = 0; i < found; i += kStep) {
      const int64_t n = std::min(kStep, found - i);
      for (int64_t j = 0; j < n; ++j) rows[j] = p_.rows + out[i + j].row * p_.d;
      kernels_.dots(query(q), rows, n, p_.d, kAheadRows, scores);
      for (int64_t j = 0; j < n; ++j)
        if (scores[j] > kLowest) out[kept++] = {scores[j], out[i + j].row};
    }
    std::sort(out, out + kept, better);
    return kept;
  }

  const TopkProblem& p_;
  const VectorKernels& kernels_;
  int64_t first_, count_, padded_ = 0, chunk_ = 0, threads_ = 1;
  bool few_;
  Tensor packed_;
  std::vector<BestRows> best_;  // [threads][count]
};

}  // namespace

void BestRows::reset(int64_t k) {
  k_ = k;
  room_ = std::max<int64_t>(2 * k, 256);
  count_ = 0;
  full_ = false;
  threshold_ = kLowest;
}
void BestRows::offer(float score, int32_t row) {
  if (count_ == capacity_) {
    capacity_ = std::min(room_, std::max<int64_t>(256, 2 * capacity_));
    auto larger = std::make_unique_for_overwrite<ScoredRow[]>(static_cast<size_t>(capacity_));
    std::copy(rows_.get(), rows_.get() + count_, larger.get());
    rows_ = std::move(larger);
  }
  rows_[static_cast<size_t>(count_++)] = {score, row};
  if (count_ == room_ || (!full_ && count_ == k_)) cut();
}
void BestRows::cut() {
  if (count_ > k_) std::nth_element(rows_.get(), rows_.get() + k_ - 1, rows_.get() + count_, better);
  count_ = std::min(count_, k_);
  full_ = count_ == k_;
  // Of equal scores the lower row is kept. Where rows come in ascending order, what equals the worst is no better.
  if (full_)
    threshold_ =
        std::min_element(rows_.get(), rows_.get() + count_, [](auto& a, auto& b) { return a.score < b.score; })->score;
}
int64_t BestRows::finish(ScoredRow* out) {
  const int64_t n = std::min(count_, k_);
  std::partial_sort(rows_.get(), rows_.get() + n, rows_.get() + count_, better);
  std::copy(rows_.get(), rows_.get() + n, out);
  return n;
}

void topk(const TopkProblem& p, ScoredRow* out) {
  WN_CHECK(p.d >= 1 && p.k >= 1 && p.n >= 0 && p.n < (int64_t{1} << 31), ShapeError,
           "topk: {} rows of width {}, k {}: width and k must be at least 1, rows below 2^31", p.n, p.d, p.k);
  const int64_t group = std::clamp<int64_t>(kGroupRows / std::max<int64_t>(2 * std::min(p.k, p.n + 1), 256), 1, kGroup);
  for (int64_t q = 0; q < p.count; q += group) Pass(p, q, std::min(group, p.count - q)).run(out + q * p.k);
}

}  // namespace winnow::cpu
