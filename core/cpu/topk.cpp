#include "core/cpu/topk.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "core/cpu/candidates.h"
#include "core/cpu/row_codes.h"
#include "core/parallel.h"

namespace winnow::cpu {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kLowest = -kInf;
constexpr int64_t kFewQueries = 6;         // read by scan_codes(); more go through tile_codes()
constexpr int64_t kGroup = 256;            // queries of one pass over the rows: beyond, memory is no longer the limit
constexpr int64_t kGroupRows = 1 << 22;    // of their candidates
constexpr int64_t kChunkFloats = 1 << 18;  // rows that a thread takes at a time
constexpr int64_t kBlockFloats = 4096;     // rows that stay in the L1 cache while queries go over them
constexpr int64_t kAheadFloats = 1024;     // a page: what the processor's own prefetcher does not cross
constexpr int64_t kAheadBytes = 4096;
constexpr int64_t kWorthCodes = 32;  // rows times k: below, the best so far stay too low for bounds to sort out much

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// The share of rows that bounds may let through before float products of all are the faster way: a row that passes is
// fetched again, and a score by itself costs more than one of a block.
class Pace {
 public:
  Pace(int64_t k, double most) : k_(k), most_(most) {}
  bool plain(int64_t rows) {
    if (left_ <= 0) return false;
    left_ -= rows;
    seen_ += rows;
    return true;
  }
  // So many rows were bounded for a number of queries; so many of these pairs passed.
  void note(int64_t rows, int64_t queries, int64_t passed) {
    seen_ += rows;
    rows_ += rows;
    passed_ += passed;
    if (rows_ < 16 * k_) return;
    // Of rows in random order k ln(b / a) come among the best so far at the a-th to the b-th; bounds and late cuts make
    // that some times as many.
    const double some = static_cast<double>(k_ + 32), last = static_cast<double>(seen_);
    const double natural =
        4 * some * std::log(std::max(1., last / std::max(last - static_cast<double>(rows_), some / 2)));
    const bool bad =
        static_cast<double>(passed_) > static_cast<double>(queries) * (most_ * static_cast<double>(rows_) + natural);
    rest_ = bad ? 2 * rest_ : kRest;
    left_ = bad ? rest_ * rows_ : 0;
    rows_ = passed_ = 0;
  }

 private:
  static constexpr int64_t kRest = 4;
  int64_t k_;
  double most_;
  int64_t seen_ = 0, rows_ = 0, passed_ = 0, left_ = 0, rest_ = kRest;
};

// One pass of a group of queries over all rows.
class Pass {
 public:
  Pass(const TopkProblem& p, const VectorKernels& kernels, int64_t first, int64_t count)
      : p_(p),
        kernels_(kernels),
        k_(std::max<int64_t>(1, std::min(p.k, p.n))),
        codes_(p.n / kWorthCodes >= k_ ? p.codes : nullptr),
        first_(first),
        count_(count),
        few_(count <= kFewQueries),
        best_elsewhere_(static_cast<size_t>(count)) {
    const int64_t work = p.n * p.d * count;
    chunk_ = std::max<int64_t>(kScanRows, round_up(kChunkFloats / p.d, kScanRows));
    threads_ = work < kChunkFloats || omp_in_parallel() != 0 ? 1 : num_threads();
    if (codes_ != nullptr) encode();
    padded_ = few_ ? count : round_up(count, kernels_.code_panel);
    if (!few_ && codes_ != nullptr) pack();
    for (std::atomic<float>& score : best_elsewhere_) score.store(kLowest, std::memory_order_relaxed);
    for (int64_t t = 0; t < threads_; ++t) workers_.emplace_back(*this);
  }
  TopkWork run(ScoredRow* out) {
    std::atomic<int64_t> next_chunk{0}, next_worker{0};
    // Which thread takes which chunk leaves no trace: the best of all chunks are the same however they are dealt.
    auto work = [&](int64_t, int64_t) {
      Worker& w = workers_[static_cast<size_t>(next_worker++)];
      for (int64_t c; (c = next_chunk++) * chunk_ < p_.n;) take_chunk(w, c * chunk_, std::min(p_.n, (c + 1) * chunk_));
    };
    if (threads_ == 1)
      work(0, 1);
    else
      parallel_for(threads_, 1, work);
    parallel_for(count_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t q = begin; q < end; ++q) collect(q, out + q * p_.k);
    });
    TopkWork all;
    for (const Worker& w : workers_) all.bounded += w.work.bounded, all.scored += w.work.scored;
    for (const Candidates& c : workers_[0].best) all.scored += c.scored();
    return all;
  }

 private:
  struct alignas(128) Worker {  // a thread's
    explicit Worker(const Pass& pass)
        : best(static_cast<size_t>(pass.count_)),
          score(static_cast<size_t>(pass.padded_), kInf),
          code(score),
          pace(pass.k_, pass.few_ ? 1. / 8 : 1. / 64) {
      for (Candidates& c : best) c.reset(pass.k_);
    }
    std::vector<Candidates> best;
    // What a row must reach by query: its score, a scaled product of bytes. Infinity where there is no query.
    std::vector<float> score, code;
    Pace pace;
    int64_t passed = 0;  // pairs of a chunk that bounds let through
    TopkWork work;
  };

  const float* query(int64_t q) const { return p_.queries + (first_ + q) * p_.d; }
  const QueryCode& coded(int64_t q) const { return coded_[static_cast<size_t>(q)]; }
  RowScorer scorer(int64_t q) const { return {kernels_, query(q), p_.rows, p_.d}; }
  bool allowed(int64_t row) const { return p_.allowed == nullptr || (p_.allowed[row / 64] >> (row % 64) & 1) != 0; }
  uint64_t may_of_block(int64_t row) const {  // of kScanRows rows
    const uint64_t there = p_.n - row >= kScanRows ? ~uint64_t{0} : (uint64_t{1} << (p_.n - row)) - 1;
    return p_.allowed == nullptr ? there : there & p_.allowed[row / kScanRows];
  }

  void encode() {
    const int64_t width = codes_->code_width();
    query_codes_.resize(static_cast<size_t>(count_ * width));
    for (int64_t q = 0; q < count_ && codes_ != nullptr; ++q) {
      coded_.emplace_back(query(q), p_.d, kernels_.most_code, query_codes_.data() + q * width);
      if (!coded_.back().finite()) codes_ = nullptr;
      slacks_.add(coded_.back());
    }
  }
  void pack() {
    const int64_t width = codes_->code_width(), panel = kernels_.code_panel;
    packed_codes_.resize(static_cast<size_t>(padded_ * width));
    for (int64_t q = 0; q < count_; ++q)
      for (int64_t i = 0; i < width; ++i)
        packed_codes_[static_cast<size_t>((q / panel * width + i / 4 * 4) * panel + q % panel * 4 + i % 4)] =
            query_codes_[static_cast<size_t>(q * width + i)];
  }

  void take_chunk(Worker& w, int64_t begin, int64_t end) {
    for (int64_t q = 0; q < count_; ++q) update(w, q);
    if (codes_ == nullptr || w.pace.plain(end - begin)) {
      scan(w, begin, end);
      return;
    }
    w.passed = 0;
    few_ ? screen(w, begin, end) : screen_many(w, begin, end);
    w.pace.note(end - begin, count_, w.passed);
  }

  void update(Worker& w, int64_t q) {
    const auto at = static_cast<size_t>(q);
    const float own = w.best[at].threshold();
    float others = best_elsewhere_[at].load(std::memory_order_relaxed);
    while (own > others && !best_elsewhere_[at].compare_exchange_weak(others, own, std::memory_order_relaxed)) {}
    // A row that equals the worst of another thread's best may come before it.
    w.score[at] = std::max(own, std::nextafter(std::max(own, others), kLowest));
    if (codes_ != nullptr) w.code[at] = coded(q).threshold(w.score[at]);
  }
  void offer(Worker& w, int64_t q, const Candidate& c) {
    if (p_.may_find && !p_.may_find(first_ + q, c.row)) return;
    Candidates& best = w.best[static_cast<size_t>(q)];
    if (!best.add(c)) return;
    best.cut(scorer(q));
    update(w, q);
  }

  // Rows in the order of their numbers, so that one that equals the worst of this thread's best is no better.
  void take_scores(Worker& w, int64_t q, int64_t begin, uint64_t above, const float* scores) {
    const float& least = w.score[static_cast<size_t>(q)];
    for (; above != 0; above &= above - 1) {
      const int r = std::countr_zero(above);
      if (scores[r] > least && allowed(begin + r)) offer(w, q, {scores[r], scores[r], static_cast<int32_t>(begin + r)});
    }
  }
  // Of queries [q, last).
  void scan_block(Worker& w, int64_t q, int64_t last, int64_t begin, int64_t end, int64_t ahead) {
    float scores[2 * kScanRows];
    uint64_t above[2];
    const float *rows = p_.rows + begin * p_.d, *least = w.score.data();
    const auto n = static_cast<int>(end - begin);
    w.work.scored += n * (last - q);
    for (; q + 1 < last; q += 2, ahead = 0) {
      kernels_.scan_two(query(q), rows, n, p_.d, least + q, ahead, scores, above);
      take_scores(w, q, begin, above[0], scores);
      take_scores(w, q + 1, begin, above[1], scores + kScanRows);
    }
    if (q < last) take_scores(w, q, begin, kernels_.scan(query(q), rows, n, p_.d, least[q], ahead, scores), scores);
  }
  void scan(Worker& w, int64_t begin, int64_t end) {
    const int64_t together = count_ == 1 ? kScanRows : std::clamp<int64_t>(kBlockFloats / p_.d, 1, kScanRows);
    for (int64_t i = begin; i < end; i += kScanRows) {
      if (may_of_block(i) == 0) continue;
      const int64_t stop = std::min(end, i + kScanRows);
      for (int64_t b = i; b < stop; b += together) {
        const int64_t ahead = (b + together) * p_.d + kAheadFloats <= p_.n * p_.d ? kAheadFloats : 0;
        scan_block(w, 0, count_, b, std::min(stop, b + together), ahead);
      }
    }
  }

  void bounded(Worker& w, int64_t q, int64_t row, int32_t product, int32_t slack) {
    const float scale = *codes_->scales(row), upper = coded(q).upper(product, scale);
    if (upper < w.score[static_cast<size_t>(q)]) return;
    ++w.passed;
    offer(w, q, {coded(q).lower(product, slack, scale), upper, static_cast<int32_t>(row)});
  }
  void screen(Worker& w, int64_t begin, int64_t end) {
    const int64_t width = codes_->code_width();
    int32_t products[kScanRows];
    for (int64_t i = begin; i < end; i += kScanRows) {
      const uint64_t may = may_of_block(i);
      if (may == 0) continue;
      const int64_t ahead = (i + kScanRows) * width + kAheadBytes <= p_.n * width ? kAheadBytes : 0;
      for (int64_t q = 0; q < count_; ++q) {
        const int32_t slack = coded(q).slack(codes_->bounds(i));
        if (slack == QueryCode::kNoSlack) {
          w.passed += kScanRows;
          scan_block(w, q, q + 1, i, std::min(end, i + kScanRows), 0);
          continue;
        }
        w.work.bounded += std::min<int64_t>(kScanRows, p_.n - i);
        uint64_t above = may & kernels_.scan_codes(query_codes_.data() + q * width, codes_->codes(i), width,
                                                   coded(q).start() + slack, codes_->scales(i),
                                                   w.code[static_cast<size_t>(q)], q == 0 ? ahead : 0, products);
        for (; above != 0; above &= above - 1) {
          const int r = std::countr_zero(above);
          bounded(w, q, i + r, products[r], slack);
        }
      }
    }
  }

  void screen_many(Worker& w, int64_t begin, int64_t end) {
    const int64_t panel = kernels_.code_panel;
    for (int64_t i = begin; i < end; i += kScanRows) {
      const uint64_t may = may_of_block(i);
      if (may == 0) continue;
      for (int64_t q = 0; q < count_; q += panel) {
        const int64_t queries = std::min(panel, count_ - q);
        int32_t slacks[kMaxPanel] = {};
        alignas(64) int32_t starts[kMaxPanel] = {};
        if (slacks_.of(codes_->bounds(i), q, queries, slacks, starts)) {
          screen_panel(w, i, may, q, starts, slacks);
          continue;
        }
        w.passed += kScanRows * queries;
        scan_block(w, q, q + queries, i, std::min(end, i + kScanRows), 0);
      }
    }
  }
  void screen_panel(Worker& w, int64_t block, uint64_t may, int64_t q, const int32_t* starts, const int32_t* slacks) {
    const int64_t width = codes_->code_width(), panel = kernels_.code_panel, tile = kernels_.code_rows;
    const bool half = count_ - q <= panel / 2;
    const int64_t ahead = q == 0 && block + 2 * kScanRows <= p_.n ? kScanRows * width : 0;
    alignas(64) int32_t products[kMaxCodeRows * kMaxPanel];
    uint32_t above[kMaxCodeRows];
    w.work.bounded += std::min<int64_t>(kScanRows, p_.n - block) * std::min(panel, count_ - q);
    for (int64_t i = 0; i < kScanRows; i += tile) {
      if ((may >> i) == 0) return;
      if (!kernels_.tile_codes(codes_->codes(block + i), width, packed_codes_.data() + q * width, half, starts,
                               codes_->scales(block + i), w.code.data() + q, ahead, products, above))
        continue;
      for (int64_t r = 0; r < tile; ++r) {
        if ((may >> (i + r) & 1) == 0) continue;
        for (uint32_t bits = above[r]; bits != 0; bits &= bits - 1) {
          const int j = std::countr_zero(bits);
          bounded(w, q + j, block + i + r, products[r * panel + j], slacks[j]);
        }
      }
    }
  }

  void collect(int64_t q, ScoredRow* out) {
    Candidates& all = workers_[0].best[static_cast<size_t>(q)];
    for (int64_t t = 1; t < threads_; ++t)
      all.merge(workers_[static_cast<size_t>(t)].best[static_cast<size_t>(q)], scorer(q));
    const int64_t found = all.finish(scorer(q), out);
    std::fill(out + found, out + p_.k, ScoredRow{kLowest, -1});
  }

  const TopkProblem& p_;
  const VectorKernels& kernels_;
  int64_t k_;
  const RowCodes* codes_;
  int64_t first_, count_, padded_ = 0, chunk_ = 0, threads_ = 1;
  bool few_;
  std::vector<QueryCode> coded_;
  QuerySlacks slacks_;
  std::vector<int8_t> query_codes_, packed_codes_;  // [count][width]; [padded / panel][width / 4][panel][4]
  std::vector<std::atomic<float>> best_elsewhere_;  // a score that k rows of one thread reach, by query
  std::vector<Worker> workers_;
};

}  // namespace

TopkWork topk(const TopkProblem& p, ScoredRow* out, const VectorKernels& kernels) {
  WN_CHECK(p.d >= 1 && p.k >= 1 && p.n >= 0 && p.n < (int64_t{1} << 31), ShapeError,
           "topk: {} rows of width {}, k {}: width and k must be at least 1, rows below 2^31", p.n, p.d, p.k);
  WN_CHECK(p.codes == nullptr || (p.codes->rows() == p.n && p.codes->width() == p.d), ShapeError,
           "topk: codes of other rows");
  const int64_t group = std::clamp<int64_t>(kGroupRows / std::max<int64_t>(4 * std::min(p.k, p.n + 1), 256), 1, kGroup);
  TopkWork all;
  for (int64_t q = 0; q < p.count; q += group) {
    const TopkWork work = Pass(p, kernels, q, std::min(group, p.count - q)).run(out + q * p.k);
    all.bounded += work.bounded;
    all.scored += work.scored;
  }
  return all;
}

}  // namespace winnow::cpu
