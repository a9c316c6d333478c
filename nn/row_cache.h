// Embedding tables whose rows, with the optimizer's state of each, lie in host memory: a device holds the rows that
// were used of late. Rows are exchanged a batch at a time, before its step.
//
// A graph reads a table of `slots + 1` rows instead of the whole one. Before each run of its program (core/graph.h,
// HostStage) the host lists the batch's distinct rows in ascending order, gives each a slot, and sends what is not
// there yet; what has to give way comes back. All of it is queued on the run's stream, ahead of the run:
//   records of the incoming rows -> device;  swap_rows() with the slots;  records of the outgoing rows -> host
// The outgoing rows reach the table in host memory before the next batch looks for rows there.
//
// The program then gets two small values: for each id the place of its row among the batch's distinct rows (1, 2, ..;
// 0: missing), and for each place the slot. Occurrences are sorted by place, which is by row, so that every sum has the
// order of the uncached table and training gives the same bits.
#pragma once
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "core/backend.h"
#include "core/program.h"
#include "nn/cache_slots.h"
#include "nn/module.h"
#include "nn/row_places.h"
#include "ops/embedding_bag.h"
#include "ops/segments.h"

namespace winnow {

// What the batches of some time asked of the caches.
struct CacheCounts {
  int64_t batches = 0;                  // of all caches
  int64_t rows = 0, hits = 0;           // distinct rows of each batch; those that were on the device
  int64_t bytes_in = 0, bytes_out = 0;  // to the device and back
  double seconds = 0, waited = 0;       // of the host before its steps; those of them in which it waited for exchanges
  double hit_rate() const { return rows > 0 ? static_cast<double>(hits) / static_cast<double>(rows) : 0; }
  CacheCounts operator-(const CacheCounts& other) const;
};

// The cache of tables with the same rows: looked up with the same ids, each row in the same slot of all of them.
class RowCache final : public std::enable_shared_from_this<RowCache> {
 public:
  // layout: where each field's rows lie in the tables. slots: rows on the device, at most as many as there are.
  RowCache(BagFeatures layout, int64_t slots, CachePolicy policy);
  ~RowCache();

  // The slots of a tensor of the tables' rows, f32 [R, ..] (weights, an optimizer's state): what graphs read in its
  // place. The tensor itself stays in host memory.
  VariablePtr resident(const VariablePtr& whole);
  // For each id that of its slot: to be looked up in resident() tables with features(pooling). Once a graph, whose ids
  // and offsets must be inputs; ConfigError: a second lookup with others.
  Value slot_ids(Graph& graph, Value ids, Value offsets);
  BagFeatures features(const std::vector<Pooling>& pooling) const;
  // Of the uses of a resident() table in this graph, whose program will write to its rows.
  RowSegments segments(Graph& graph, std::vector<RowGradient> uses);

  // What the device changed is copied to the tensors in host memory, after all that was queued.
  void write_back();
  // The tensors in host memory were written to: what the device has is void.
  void forget();
  const CacheCounts& counts() const { return counts_; }

 private:
  class Lookup;
  struct Column {
    VariablePtr whole, resident;
    int64_t width, first;  // floats of a row; where they begin in a record
  };
  // Pinned memory for records on their way in, and of the same number of rows on their way back.
  struct Transfer {
    Tensor records;
    std::unique_ptr<Event> done;
    std::vector<int64_t> outgoing;  // rows whose records come back
  };
  void build(Device device);
  void bring(const Lookup& lookup, int64_t rows, Stream& stream);
  void send(std::span<const CacheSlots::Move> moves, Stream& stream);
  void finish(Transfer& transfer);

  BagFeatures layout_;
  CacheSlots slots_;
  std::vector<Column> columns_;
  int64_t rows_ = 0, record_ = 0;  // of the tables; floats
  CacheCounts counts_;
  RowPlaces places_;
  std::vector<CacheSlots::Move> moves_;  // of the batch at hand
  int64_t changes_ = 0;                  // of what lies in which slot

  std::unique_ptr<Program> exchange_;  // swap_rows() of every column; null until the first batch and after a new column
  VariablePtr packed_;                 // the records on the device
  Tensor exchanged_slots_;
  std::array<Transfer, 2> transfers_;
  size_t next_ = 0;
  int64_t lookups_ = 0, last_lookup_ = 0;
  const Stream* last_stream_ = nullptr;
};

// The caches of a model: one for each layout of rows.
class RowCaches {
 public:
  RowCaches(int64_t rows, CachePolicy policy) : rows_(rows), policy_(policy) {}
  std::shared_ptr<RowCache> of(const BagFeatures& layout);
  bool empty() const { return caches_.empty(); }

 private:
  int64_t rows_;
  CachePolicy policy_;
  std::vector<std::pair<BagFeatures, std::shared_ptr<RowCache>>> caches_;
};

// Of those parameters that have a cache; the others are untouched.
void write_back_cached_rows(const std::vector<Parameter>& parameters);
void forget_cached_rows(const std::vector<Parameter>& parameters);
std::optional<CacheCounts> cache_counts(const std::vector<Parameter>& parameters);  // nothing: no cache

}  // namespace winnow
