// The k rows of largest inner product with each query, exactly, over all rows.
//
//   best(q) = the first k of { r : queries[q] . rows[r] > -inf, r allowed } by (score descending, r ascending)
//
// A few queries read each row once, at the speed of memory; many go through a blocked product whose scores never leave
// the L1 cache. Either way a score is the bits of VectorKernels::dots, whatever the number of threads and of queries.
// Rows whose scores differ by rounding alone may change places at rank k between few and many queries.
// NaN scores are never returned. Cosine: rows and queries of length 1.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>

namespace winnow::cpu {

struct ScoredRow {
  float score = 0;
  int32_t row = -1;
  friend bool operator==(const ScoredRow&, const ScoredRow&) = default;
};
inline bool better(const ScoredRow& a, const ScoredRow& b) {
  return a.score > b.score || (a.score == b.score && a.row < b.row);
}

// The k best of a stream of scored rows. A buffer is cut back to k when it is full, which raises the threshold: O(1) a
// row, amortised. Rows below the threshold need not be offered; ties are settled by row in any order of offers.
class BestRows {
 public:
  void reset(int64_t k);
  float threshold() const { return threshold_; }  // what is offered must be above; -inf until k were seen
  void offer(float score, int32_t row);
  int64_t finish(ScoredRow* out);  // writes min(k, offered) rows, best first

 private:
  void cut();
  std::unique_ptr<ScoredRow[]> rows_;
  int64_t k_ = 0, room_ = 0, capacity_ = 0, count_ = 0;
  bool full_ = false;
  float threshold_ = 0;
};

struct TopkProblem {
  const float* queries = nullptr;  // [count, d]
  int64_t count = 0;
  const float* rows = nullptr;  // [n, d], n < 2^31
  int64_t n = 0, d = 0, k = 0;
  const uint64_t* allowed = nullptr;  // bit r % 64 of word r / 64: row r may be found; null: all may
  // Asked, from several threads, about rows that are among the best so far; empty: all may be found.
  std::function<bool(int64_t query, int32_t row)> may_find;
};

// out [count, k]; missing places hold row -1 and score -inf.
void topk(const TopkProblem& problem, ScoredRow* out);

}  // namespace winnow::cpu
