// The rows that may be among the k best of a query, from bounds of their scores (core/cpu/topk.cpp).
#pragma once
#include <vector>

#include "core/cpu/topk.h"
#include "core/cpu/vector_kernels.h"

namespace winnow::cpu {

struct Candidate {
  float lower = 0, upper = 0;  // equal: the score itself; else lower < upper
  int32_t row = -1;
};

// Scores of a query by VectorKernels::dots.
struct RowScorer {
  const VectorKernels& kernels;
  const float *query, *rows;
  int64_t d;
  // In place of bounds; what scores NaN or -inf is left out. Returns how many were computed.
  int64_t score(std::vector<Candidate>& some) const;
};

// A buffer is cut when it is full: of k or more rows, those stay whose upper bound reaches the k-th best lower bound,
// and where that leaves too many, scores take the place of bounds. O(1) a row, amortised.
class Candidates {
 public:
  void reset(int64_t k);
  // The k-th best lower bound, -inf until k were seen. A row whose upper bound is below is not among the k best, nor is
  // a row of a higher number than all before whose score equals it.
  float threshold() const { return threshold_; }
  // Returns whether it is time to cut().
  bool add(const Candidate& c) {
    all_.push_back(c);
    return static_cast<int64_t>(all_.size()) >= limit_;
  }
  void cut(const RowScorer& scorer);
  void merge(const Candidates& other, const RowScorer& scorer);
  int64_t finish(const RowScorer& scorer, ScoredRow* out);  // writes min(k, added) rows, best first
  int64_t scored() const { return scored_; }                // by cut and finish

 private:
  void drop();
  std::vector<Candidate> all_;
  int64_t k_ = 0, limit_ = 0, scored_ = 0;
  float threshold_ = 0;
};

}  // namespace winnow::cpu
