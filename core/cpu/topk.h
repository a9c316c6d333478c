// The k rows of largest inner product with each query, exactly, over all rows.
//
//   best(q) = the first k of { r : queries[q] . rows[r] > -inf, r allowed } by (score descending, r ascending)
//
// A score is the bits of VectorKernels::dots, whatever the number of threads and of queries. NaN scores are never
// returned. Cosine: rows and queries of length 1.
//
// With codes (core/cpu/row_codes.h) a product of bytes bounds each score, and only rows whose bound reaches the k-th
// best lower bound so far are scored: the rows and scores are those that dots() on every row would give, ties included.
// Where the bounds let too many rows through (rows nearly equal, queries of zeros, k near the number of rows), the
// rows that follow are computed in float, for a while.
#pragma once
#include <cstdint>
#include <functional>

#include "core/cpu/vector_kernels.h"

namespace winnow::cpu {

class RowCodes;

struct ScoredRow {
  float score = 0;
  int32_t row = -1;
  friend bool operator==(const ScoredRow&, const ScoredRow&) = default;
};
inline bool better(const ScoredRow& a, const ScoredRow& b) {
  return a.score > b.score || (a.score == b.score && a.row < b.row);
}

struct TopkProblem {
  const float* queries = nullptr;  // [count, d]
  int64_t count = 0;
  const float* rows = nullptr;  // [n, d], n < 2^31
  int64_t n = 0, d = 0, k = 0;
  const uint64_t* allowed = nullptr;  // bit r % 64 of word r / 64: row r may be found; null: all may
  // Asked, from several threads, about rows that may be among the best so far; empty: all may be found.
  std::function<bool(int64_t query, int32_t row)> may_find;
  const RowCodes* codes = nullptr;  // of these rows; null: every score is computed
};

// Products of a query and a row, each counted once a kind.
struct TopkWork {
  int64_t bounded = 0;  // by bytes
  int64_t scored = 0;   // in float
};

// out [count, k]; missing places hold row -1 and score -inf.
TopkWork topk(const TopkProblem& problem, ScoredRow* out, const VectorKernels& kernels = vector_kernels());

}  // namespace winnow::cpu
