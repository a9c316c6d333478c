// Batches of fixed capacity from a data set, filled ahead of time by an ordinary thread.
#pragma once
#include <array>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/tensor.h"
#include "data/dataset.h"

namespace winnow {

// What a batch holds. B rows, F fields, D numbers.
struct BatchSpec {
  struct Input {
    std::string name;
    TensorSpec spec;
  };
  int64_t batch_size = 0;
  bool bags = false;
  // In feed order: "ids" i64 [B, F] (with bags [capacity], capacity = B * ids_per_row), "offsets" i64 [B F + 1] (with
  // bags only), "dense" f32 [B, D] (absent when D = 0), "label" f32 [B], "weight" f32 [B].
  std::vector<Input> inputs;
};

BatchSpec batch_spec(const FeatureMap& map, int64_t batch_size);

// One batch. Its tensors belong to the source and hold until the source's next next(), seek() or its end.
// Rows from `rows` on are padding: weight 0, label 0, numbers 0, ids -1 (with bags: empty bags).
struct BatchSlot {
  static constexpr size_t kInputs = 5;
  std::array<Tensor, kInputs> tensors;  // as BatchSpec::inputs
  size_t inputs = 0;
  int64_t rows = 0;  // live
  // [rows] rows of the Dataset; with storage: disk positions in the split; of a row sampled from the batch that of its
  // item.
  std::span<const int32_t> index;

  std::span<const Tensor> feeds() const { return {tensors.data(), inputs}; }
};

// The position of the next batch: row of the epoch's order.
struct Cursor {
  int64_t epoch = 0, row = 0;
  std::string str() const;                       // "epoch=3 row=4096"
  static Cursor parse(const std::string& text);  // DataError
  bool operator==(const Cursor&) const = default;
};

// Where rows come from: a data set in memory or in a file. Used by one thread at a time.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual BatchSpec spec(int64_t batch_size) const = 0;
  virtual int64_t rows() const = 0;  // of one epoch
  // How many of them a batch takes; the others are drawn beside them.
  virtual int64_t rows_per_batch(int64_t batch_size) const { return batch_size; }
  // Writes the rows from `at` on, as many as fit, and the padding; returns how many are live, 0 at the epoch's end.
  // index has room for batch_size rows.
  virtual int64_t fill(const Cursor& at, int64_t batch_size, std::span<const Tensor> tensors,
                       std::span<int32_t> index) = 0;
};

// Rows of one split of a data set, which must outlive the source. shuffle: a permutation by (seed, epoch), the same on
// every machine (Fisher-Yates over core/rng.h); else in order. With storage: disk a permutation of blocks, and of the
// rows of some blocks at a time (data/detail/row_sources.h).
std::unique_ptr<RowSource> make_row_source(const Dataset& dataset, Split split, bool shuffle, uint64_t seed = 0);

// What training reads: the rows of the training split, shuffled.
//   Negatives in_batch: an epoch's rows are the training positives; a batch takes floor(batch_size / (1 + n)) of them,
//   and beside each stand up to n rows of label 0 with its user, context and weight and the item of another positive of
//   the batch: distinct items, drawn by (seed, epoch, row), never one that the user is known to have taken.
//   id_dropout p: each id of a vocabulary is replaced by the OOV id with probability p, by (seed, epoch, batch, place).
std::unique_ptr<RowSource> make_training_source(const Dataset& dataset, uint64_t seed);

struct BatchOptions {
  int64_t batch_size = 1024;
  int prefetch = 2;  // batches filled ahead; 0: no thread, next() fills
};

// Hands out batches in order. After the epoch's end next() stays false until start_epoch() or seek().
// cursor() is the batch that the following next() returns, whatever has been prefetched, so that seek(cursor()) goes on
// exactly there, in this process or another. An exception of the filling thread is thrown by next(); seek() clears it.
// No allocation after the first epoch's start. Used by one thread. ConfigError: batch_size < 1, prefetch < 0.
class BatchSource {
 public:
  BatchSource(std::unique_ptr<RowSource> rows, const BatchOptions& options);
  ~BatchSource();
  BatchSource(const BatchSource&) = delete;
  BatchSource& operator=(const BatchSource&) = delete;

  const BatchSpec& spec() const { return spec_; }
  int64_t rows() const { return rows_->rows(); }
  int64_t batches() const { return (rows() + stride_ - 1) / stride_; }  // of an epoch

  bool next(BatchSlot& slot);
  Cursor cursor() const { return cursor_; }
  void seek(const Cursor& cursor);  // DataError: a row outside the epoch
  void start_epoch(int64_t epoch) { seek({epoch, 0}); }

 private:
  struct Buffer {
    std::array<Tensor, BatchSlot::kInputs> tensors;
    std::vector<int32_t> index;
    int64_t rows = 0, taken = 0;  // live; of the epoch
  };
  void fill_ahead(const std::stop_token& stop);
  void fill(Buffer& buffer, const Cursor& at);
  void hand_out(const Buffer& buffer, BatchSlot& slot);
  bool next_prefetched(BatchSlot& slot);

  std::unique_ptr<RowSource> rows_;
  BatchOptions options_;
  BatchSpec spec_;
  int64_t stride_ = 0;  // rows of the epoch a batch
  std::vector<Buffer> ring_;
  Cursor cursor_;  // of the consumer

  std::mutex mutex_;
  std::condition_variable_any changed_;
  Cursor ahead_;       // of the filling thread
  size_t head_ = 0;    // oldest filled buffer
  size_t filled_ = 0;  // filled buffers, the one handed out not counted
  bool held_ = false;  // the buffer before head_ is with the consumer
  bool filling_ = false, paused_ = false, ended_ = false;
  std::exception_ptr error_;
  std::jthread thread_;
};

}  // namespace winnow
