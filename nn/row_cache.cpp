#include "nn/row_cache.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>

#include "core/parallel.h"
#include "ops/detail/bag_spec.h"
#include "ops/shape_ops.h"
#include "ops/swap_rows.h"

namespace winnow {
namespace {

constexpr int64_t kMostRecords = 16384;  // of one transfer
constexpr int64_t kCopiedSlots = 65536;  // of one copy when all of a device's rows are wanted
constexpr int64_t kPad = 0;              // id and place of what is missing; slot 0 is nobody's

int64_t rows_of(const BagFeatures& layout) {
  int64_t rows = 0;
  for (size_t f = 0; f < layout.rows.size(); ++f) rows = std::max(rows, layout.row_base[f] + layout.rows[f]);
  return rows;
}

Attrs attrs_of(const BagFeatures& layout, bool offsets) {
  Attrs attrs{{"row_base", layout.row_base}, {"rows", layout.rows}, {"pooling", std::vector<int64_t>{0}}};
  return attrs.set("padding_id", layout.padding_id).set("has_offsets", int64_t{offsets});
}

float* row_of(const Tensor& tensor, int64_t row, int64_t width) { return tensor.data<float>() + row * width; }

class Timer {
 public:
  explicit Timer(double& seconds) : seconds_(seconds) {}
  ~Timer() { seconds_ += std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  double& seconds_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace

CacheCounts CacheCounts::operator-(const CacheCounts& o) const {
  return {.batches = batches - o.batches,
          .rows = rows - o.rows,
          .hits = hits - o.hits,
          .bytes_in = bytes_in - o.bytes_in,
          .bytes_out = bytes_out - o.bytes_out,
          .seconds = seconds - o.seconds,
          .waited = waited - o.waited};
}

// One graph's lookup: ids, [offsets] -> the place of each id's row, the slot of each place.
class RowCache::Lookup final : public StageAhead {
 public:
  Lookup(std::shared_ptr<RowCache> cache, int64_t lookup, Value ids, Value offsets)
      : number(lookup),
        ids_(ids.id),
        offsets_(offsets ? offsets.id : -1),
        cache_(std::move(cache)),
        bags_(read_bags(attrs_of(cache_->layout_, static_cast<bool>(offsets)), "", ids.shape(),
                        offsets ? &offsets.shape() : nullptr)) {
    const int64_t n = ids.shape().numel(), most = std::min(n, cache_->slots_.size());
    tensors_ = {Tensor::zeros({DType::I64, ids.shape()}), Tensor::zeros({DType::I64, {most + 1}})};
    cache_->moves_.reserve(std::max(cache_->moves_.capacity(), static_cast<size_t>(most)));
  }
  std::vector<TensorSpec> specs() const { return {tensors_[0].spec(), tensors_[1].spec()}; }
  bool is_of(const RowCache& cache) const { return cache_.get() == &cache; }
  bool reads(Value ids, Value offsets) const { return ids_ == ids.id && offsets_ == (offsets ? offsets.id : -1); }
  bool holds() const override { return prepared_ == cache_->changes_; }

  std::span<const Tensor> prepare(std::span<const Tensor> from, Stream& stream) override {
    RowCache& c = *cache_;
    if (c.exchange_ == nullptr) c.build(stream.device());  // may fail: before rows get slots
    const Timer timer(c.counts_.seconds);
    list_rows(BagData<float>(from[0].data<int64_t>(), from.size() > 1 ? from[1].data<int64_t>() : nullptr, nullptr,
                             bags_.capacity));
    const std::span<const int64_t> distinct = c.places_.name(tensors_[0].span<int64_t>());
    const auto wanted = static_cast<int64_t>(distinct.size());
    WN_CHECK(wanted <= c.slots_.size(), ConfigError,
             "a batch reads {} rows of the embedding tables and embedding_cache_rows keeps {} on the device: set "
             "model.embedding_cache_rows to at least {}, or use a smaller train.batch_size",
             wanted, c.slots_.size(), wanted);
    prepared_ = ++c.changes_;
    c.slots_.place(distinct, changes, tensors_[1].span<int64_t>().subspan(1, distinct.size()), c.moves_);
    c.bring(*this, wanted, stream);
    return tensors_;
  }

  const int64_t number;  // of the cache's lookups
  bool changes = false;

 private:
  // tensors_[0]: the row of each position, -1 missing.
  void list_rows(const BagData<float>& in) {
    auto* const rows = tensors_[0].data<int64_t>();
    if (in.offsets != nullptr) std::fill_n(rows, bags_.capacity, -1);  // positions that no bag covers are missing
    parallel_for(bags_.bags, 4096, [&](int64_t begin, int64_t end) {
      if (in.offsets == nullptr) {
        for (int64_t k = begin, f = begin % bags_.features; k < end; ++k) {
          rows[k] = bags_.row(f, in.ids[k]);
          if (++f == bags_.features) f = 0;
        }
        return;
      }
      for (int64_t bag = begin, f = begin % bags_.features; bag < end; ++bag) {
        for (int64_t k = in.begin(bag), behind = in.end(bag); k < behind; ++k) rows[k] = bags_.row(f, in.ids[k]);
        if (++f == bags_.features) f = 0;
      }
    });
  }

  int32_t ids_, offsets_;
  std::shared_ptr<RowCache> cache_;
  BagSpec bags_;
  std::array<Tensor, 2> tensors_;
  int64_t prepared_ = -1;  // the cache's changes_ by then
};

RowCache::RowCache(BagFeatures layout, int64_t slots, CachePolicy policy)
    : layout_(std::move(layout)),
      slots_(rows_of(layout_), std::min(slots, std::max<int64_t>(1, rows_of(layout_))), policy),
      rows_(rows_of(layout_)),
      places_(rows_) {}
RowCache::~RowCache() = default;

VariablePtr RowCache::resident(const VariablePtr& whole) {
  const auto known = std::ranges::find(columns_, whole, &Column::whole);
  if (known != columns_.end()) return known->resident;
  const Tensor& tensor = whole->value;
  WN_CHECK(tensor.dtype() == DType::F32 && tensor.shape().rank() >= 1 && tensor.shape()[0] == rows_, Error,
           "a cache of f32 tables of {} rows cannot hold '{}' {}", rows_, whole->name, tensor.spec().str());
  write_back();
  forget();  // the rows on the device lack this tensor's part
  exchange_.reset();
  auto variable = std::make_shared<Variable>(*whole);
  variable->value = Tensor::zeros({DType::F32, tensor.shape().with(0, slots_.size() + 1)});
  columns_.push_back({whole, variable, tensor.shape().inner(0), 0});
  return variable;
}

Value RowCache::slot_ids(Graph& graph, Value ids, Value offsets) {
  const auto places = [&](const Graph::Staged& s) { return gather(Value{&graph, s.to[1]}, Value{&graph, s.to[0]}); };
  for (const Graph::Staged& s : graph.staged()) {
    const auto* lookup = dynamic_cast<const Lookup*>(s.stage.get());
    if (lookup == nullptr || !lookup->is_of(*this)) continue;
    WN_CHECK(lookup->reads(ids, offsets), ConfigError,
             "embedding_cache_rows: a model that looks its tables up with several ids cannot keep rows in host memory; "
             "leave it out");
    return places(s);
  }
  const auto lookup = std::make_shared<Lookup>(shared_from_this(), ++lookups_, ids, offsets);
  graph.stage(lookup, offsets ? std::vector{ids, offsets} : std::vector{ids}, lookup->specs());
  return places(graph.staged().back());
}

BagFeatures RowCache::features(const std::vector<Pooling>& pooling) const {
  return {.row_base = std::vector<int64_t>(layout_.row_base.size(), 0),
          .rows = {slots_.size() + 1},
          .pooling = pooling,
          .padding_id = kPad};
}

RowSegments RowCache::segments(Graph& graph, std::vector<RowGradient> uses) {
  for (const Graph::Staged& s : graph.staged()) {
    auto* lookup = dynamic_cast<Lookup*>(s.stage.get());
    if (lookup == nullptr || !lookup->is_of(*this)) continue;
    lookup->changes = true;
    const Value places{&graph, s.to[0]}, slots{&graph, s.to[1]};
    for (RowGradient& use : uses) {
      use.ids = places;
      use.attrs.set("rows", std::vector<int64_t>{slots.shape()[0]});
    }
    RowSegments segments = row_segments(graph, uses);
    segments.unique_rows = gather(slots, segments.unique_rows);
    return segments;
  }
  raise<Error>("the graph does not look up the tables of this cache");
}

// Rows of whole vectors come first in a record, so that they stay aligned in it.
void RowCache::build(Device device) {
  std::ranges::stable_partition(columns_, [](const Column& c) { return c.width % 4 == 0; });
  record_ = 0;
  for (Column& c : columns_) c.first = std::exchange(record_, record_ + c.width);
  record_ = (record_ + 3) / 4 * 4;
  const int64_t records = std::min(slots_.size(), kMostRecords);
  const TensorSpec spec{DType::F32, {records, record_}};
  packed_ = std::make_shared<Variable>(Variable{"embedding records", Tensor::zeros(spec), false, false});
  Graph graph(device);
  exchanged_slots_ = Tensor({DType::I64, {records}});
  const Value slots = graph.input("slots", exchanged_slots_.spec()), packed = graph.persistent(packed_);
  for (const Column& c : columns_) swap_rows(graph.persistent(c.resident), packed, slots, c.first);
  exchange_ = std::make_unique<Program>(compile(graph));
  for (Transfer& t : transfers_) {
    t = {Tensor(spec, backend_of(device).pinned_allocator(device)), make_event(device), {}};
    t.outgoing.reserve(static_cast<size_t>(records));
  }
}

void RowCache::bring(const Lookup& lookup, int64_t rows, Stream& stream) {
  counts_.batches += 1;
  counts_.rows += rows;
  counts_.hits += rows - std::ssize(moves_);
  if (last_lookup_ != lookup.number || last_stream_ != &stream) {
    if (last_lookup_ != 0)  // what another program queued, perhaps on another stream, comes first: such a copy does
      (void)packed_->value.rows(0, 1).on({});
    last_lookup_ = lookup.number;
    last_stream_ = &stream;
  }
  if (moves_.empty()) return;
  for (Transfer& t : transfers_) finish(t);  // a row that left with the last batch may be wanted again
  std::ranges::partition(moves_, &CacheSlots::Move::changed);
  const auto most = static_cast<size_t>(exchanged_slots_.numel());
  for (size_t i = 0; i < moves_.size(); i += most)
    send(std::span(moves_).subspan(i, std::min(most, moves_.size() - i)), stream);
}

// Those whose place was taken by a changed row come first.
void RowCache::send(std::span<const CacheSlots::Move> moves, Stream& stream) {
  Transfer& t = transfers_[next_++ % transfers_.size()];
  finish(t);
  auto* const records = t.records.data<float>();
  const auto n = static_cast<int64_t>(moves.size());
  parallel_for(n, 64, [&](int64_t begin, int64_t end) {
    for (const Column& c : columns_)
      for (int64_t i = begin; i < end; ++i)
        std::memcpy(records + i * record_ + c.first, row_of(c.whole->value, moves[static_cast<size_t>(i)].row, c.width),
                    static_cast<size_t>(c.width) * sizeof(float));
  });
  const auto slots = exchanged_slots_.span<int64_t>();
  for (size_t i = 0; i < slots.size(); ++i) slots[i] = i < moves.size() ? moves[i].slot : -1;
  for (const CacheSlots::Move& move : moves) {
    if (!move.changed) break;
    t.outgoing.push_back(move.evicted);
  }
  Backend& backend = backend_of(stream.device());
  const auto bytes = [&](size_t count) { return count * static_cast<size_t>(record_) * sizeof(float); };
  backend.copy(packed_->value.raw(), records, bytes(moves.size()), stream);
  exchange_->run(std::span(&exchanged_slots_, 1), stream);
  if (!t.outgoing.empty()) backend.copy(records, packed_->value.raw(), bytes(t.outgoing.size()), stream);
  t.done->record(stream);
  counts_.bytes_in += static_cast<int64_t>(bytes(moves.size()));
  counts_.bytes_out += static_cast<int64_t>(bytes(t.outgoing.size()));
}

// Its memory is free again, and what came back is in the tables.
void RowCache::finish(Transfer& t) {
  {
    const Timer timer(counts_.waited);
    t.done->synchronize();
  }
  const auto* const records = t.records.data<float>();
  parallel_for(static_cast<int64_t>(t.outgoing.size()), 64, [&](int64_t begin, int64_t end) {
    for (const Column& c : columns_)
      for (int64_t i = begin; i < end; ++i)
        std::memcpy(row_of(c.whole->value, t.outgoing[static_cast<size_t>(i)], c.width),
                    records + i * record_ + c.first, static_cast<size_t>(c.width) * sizeof(float));
  });
  t.outgoing.clear();
}

void RowCache::write_back() {
  if (exchange_ == nullptr) return;
  for (Transfer& t : transfers_) finish(t);
  for (const Column& c : columns_)
    for (int64_t first = 1; first <= slots_.used(); first += kCopiedSlots) {
      const int64_t end = std::min(slots_.used() + 1, first + kCopiedSlots);
      const Tensor rows = c.resident->value.rows(first, end).on({});
      for (int64_t s = first; s < end; ++s)
        if (slots_.changed(s))
          std::memcpy(row_of(c.whole->value, slots_.row(s), c.width), row_of(rows, s - first, c.width),
                      static_cast<size_t>(c.width) * sizeof(float));
    }
  slots_.mark_unchanged();
}

void RowCache::forget() {
  ++changes_;
  for (Transfer& t : transfers_) {
    if (t.done != nullptr) t.done->synchronize();
    t.outgoing.clear();
  }
  slots_.clear();
}

std::shared_ptr<RowCache> RowCaches::of(const BagFeatures& layout) {
  for (const auto& [known, cache] : caches_)
    if (known.row_base == layout.row_base && known.rows == layout.rows && known.padding_id == layout.padding_id)
      return cache;
  return caches_.emplace_back(layout, std::make_shared<RowCache>(layout, rows_, policy_)).second;
}

namespace {

std::set<RowCache*> caches_of(const std::vector<Parameter>& parameters) {
  std::set<RowCache*> caches;
  for (const Parameter& p : parameters)
    if (p.cache != nullptr) caches.insert(p.cache.get());
  return caches;
}

}  // namespace

void write_back_cached_rows(const std::vector<Parameter>& parameters) {
  for (RowCache* cache : caches_of(parameters)) cache->write_back();
}
void forget_cached_rows(const std::vector<Parameter>& parameters) {
  for (RowCache* cache : caches_of(parameters)) cache->forget();
}
std::optional<CacheCounts> cache_counts(const std::vector<Parameter>& parameters) {
  const auto caches = caches_of(parameters);
  if (caches.empty()) return std::nullopt;
  CacheCounts sum;
  for (const RowCache* cache : caches) {
    const CacheCounts& c = cache->counts();
    sum = {.batches = std::max(sum.batches, c.batches),
           .rows = sum.rows + c.rows,
           .hits = sum.hits + c.hits,
           .bytes_in = sum.bytes_in + c.bytes_in,
           .bytes_out = sum.bytes_out + c.bytes_out,
           .seconds = sum.seconds + c.seconds,
           .waited = sum.waited + c.waited};
  }
  return sum;
}

}  // namespace winnow
