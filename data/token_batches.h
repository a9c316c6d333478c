// Rows of tokens grouped into batches, without padding: which rows come together in each epoch, and their tensors.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "data/batches.h"
#include "tokenizer/tokenizer.h"

namespace winnow {

struct TokenBatchOptions {
  int64_t batch_size = 32;  // most rows a batch
  int64_t max_tokens = 0;   // most tokens a batch; 0: as many as its rows have
  // Rows of similar length together: the epoch's order is cut into windows of 64 batches, a window is sorted by length,
  // and its batches are shuffled.
  bool by_length = false;
  bool shuffle = true;  // rows in an order by (seed, epoch); else in that of the data
  uint64_t seed = 0;
  int forms = 16;  // how many capacities are prepared
};

// The batches of every epoch, a function of (lengths, options, epoch). Used by one thread at a time.
class TokenBatches {
 public:
  // lengths: tokens of each row. ConfigError: batch_size < 1, or a row of more than max_tokens (names both).
  TokenBatches(std::vector<int64_t> lengths, const TokenBatchOptions& options);

  // Tokens for which a batch may be prepared, ascending, at most TokenBatchOptions::forms: those that leave the fewest
  // places of the first epoch's batches empty, and the most that any batch can have. A batch takes the smallest one
  // that holds it.
  const std::vector<int64_t>& capacities() const { return capacities_; }
  int64_t batches(int64_t epoch) const;

  bool next();                                             // false at the epoch's end
  std::span<const int32_t> rows() const { return rows_; }  // of the batch that next() went to
  int64_t tokens() const { return tokens_; }
  size_t form() const { return form_; }  // an index into capacities()

  Cursor cursor() const { return {epoch_, at_}; }  // of the batch that follows: Cursor::row counts batches here
  void seek(const Cursor& cursor);                 // DataError: a batch outside the epoch
  void start_epoch(int64_t epoch) { seek({epoch, 0}); }

 private:
  struct Plan {
    std::vector<int32_t> rows;
    std::vector<int64_t> begin = {0};  // batch b is rows[begin[b] .. begin[b + 1])
    int64_t batches() const { return static_cast<int64_t>(begin.size()) - 1; }
  };
  Plan plan(int64_t epoch) const;
  void cut(std::span<const int32_t> rows, std::vector<std::vector<int32_t>>& batches) const;
  int64_t rows_of_a_batch() const;
  int64_t tokens_of(std::span<const int32_t> rows) const;
  void choose_capacities();

  std::vector<int64_t> lengths_;
  TokenBatchOptions options_;
  std::vector<int64_t> capacities_;
  mutable std::vector<int64_t> counts_;  // batches of each epoch, as far as known; -1: not yet
  Plan plan_;
  int64_t epoch_ = -1, at_ = 0;
  std::span<const int32_t> rows_;
  int64_t tokens_ = 0;
  size_t form_ = 0;
};

// The token tensors of one batch: ids, types, positions i64 [capacity], offsets i64 [rows + 1] (nn/transformer.h).
struct TokenTensors {
  TokenTensors(int64_t rows, int64_t capacity);
  Tensor ids, types, positions, offsets;
  // Writes the given rows of `source`, at most as many as there is room for; rows beyond them are empty and places
  // beyond their tokens hold -1. Allocates nothing.
  void fill(const JaggedIds& source, std::span<const int32_t> rows);
};

}  // namespace winnow
