#include "serve/retrieval/index.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "core/error.h"
#include "core/parallel.h"
#include "serve/retrieval/index_file.h"

namespace winnow {
namespace {

constexpr int64_t kPiece = 16384;  // vectors that are copied to bring them to length 1

bool all_finite(std::span<const float> x) {
  return std::ranges::all_of(x, [](float v) { return std::isfinite(v); });
}

double length_of(const float* x, int64_t width) {
  double squares = 0;
  for (int64_t i = 0; i < width; ++i) squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return std::sqrt(squares);
}

}  // namespace

std::string_view name_of(Similarity similarity) {
  return similarity == Similarity::Cosine ? "cosine" : "inner_product";
}
Similarity similarity_named(std::string_view name) {
  for (const Similarity s : {Similarity::InnerProduct, Similarity::Cosine})
    if (name == name_of(s)) return s;
  raise<ConfigError>("similarity '{}': not inner_product or cosine", name);
}

VectorIndex::VectorIndex(int64_t width, Similarity similarity) : width_(width), similarity_(similarity) {
  WN_CHECK(width >= 1 && width <= kMaxWidth, ShapeError, "vectors of {} elements: an index takes 1 to {}", width,
           kMaxWidth);
}

std::vector<int64_t> VectorIndex::ids() const {
  std::vector<int64_t> all;
  all.reserve(slot_of_.size());
  for (const auto& [id, slot] : slot_of_) all.push_back(id);
  std::ranges::sort(all);
  return all;
}

void VectorIndex::add(std::span<const int64_t> ids, std::span<const float> vectors) {
  const auto count = static_cast<int64_t>(ids.size());
  WN_CHECK(static_cast<int64_t>(vectors.size()) == count * width_, ShapeError,
           "add: {} numbers are not {} vectors of {}", vectors.size(), count, width_);
  WN_CHECK(count + slots() <= kMaxVectors, DataError, "an index holds at most {} vectors", kMaxVectors);
  std::unordered_set<int64_t> given(ids.size());
  for (const int64_t id : ids) {
    WN_CHECK(id >= 0, DataError, "add: id {}: ids must not be negative", id);
    WN_CHECK(given.insert(id).second, DataError, "add: id {} is given twice", id);
    WN_CHECK(!contains(id), DataError, "add: id {} is there already; remove it first", id);
  }
  for (int64_t r = 0; r < count; ++r)
    WN_CHECK(all_finite(vectors.subspan(static_cast<size_t>(r * width_), static_cast<size_t>(width_))), DataError,
             "add: the vector of id {} holds NaN or infinity", ids[static_cast<size_t>(r)]);
  ++version_;
  std::vector<float> piece;
  for (int64_t first = 0; first < count; first += kPiece) {
    const int64_t n = std::min(kPiece, count - first);
    const auto from = vectors.subspan(static_cast<size_t>(first * width_), static_cast<size_t>(n * width_));
    const auto piece_ids = ids.subspan(static_cast<size_t>(first), static_cast<size_t>(n));
    if (similarity_ == Similarity::InnerProduct) {
      insert(piece_ids, from);
      continue;
    }
    piece.assign(from.begin(), from.end());
    parallel_for(n, 256, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        float* x = piece.data() + r * width_;
        const double length = length_of(x, width_);
        for (int64_t i = 0; i < width_ && length > 0; ++i)
          x[i] = static_cast<float>(static_cast<double>(x[i]) / length);
      }
    });
    insert(piece_ids, piece);
  }
  settle();
}

int64_t VectorIndex::remove(std::span<const int64_t> ids) {
  std::vector<int32_t> slots;
  for (const int64_t id : ids) {
    const auto at = slot_of_.find(id);
    if (at == slot_of_.end()) continue;
    slots.push_back(at->second);
    live_[static_cast<size_t>(at->second) / 64] &= ~(uint64_t{1} << (at->second % 64));
    id_of_[static_cast<size_t>(at->second)] = -1;
    slot_of_.erase(at);
  }
  if (slots.empty()) return 0;
  ++version_;
  std::ranges::sort(slots);
  erased(slots);
  settle();
  return static_cast<int64_t>(slots.size());
}

Selection VectorIndex::select(std::span<const int64_t> ids) const {
  Selection s;
  s.slots_.resize(live_.size());
  for (const int64_t id : ids) {
    const auto at = slot_of_.find(id);
    if (at == slot_of_.end()) continue;
    uint64_t& word = s.slots_[static_cast<size_t>(at->second) / 64];
    const uint64_t bit = uint64_t{1} << (at->second % 64);
    s.size_ += (word & bit) == 0 ? 1 : 0;
    word |= bit;
  }
  s.version_ = version_;
  s.owner_ = this;
  return s;
}

void VectorIndex::search(std::span<const float> queries, int64_t k, const Filter& filter, std::span<Found> out) const {
  const int64_t count = static_cast<int64_t>(queries.size()) / width_;
  WN_CHECK(count * width_ == static_cast<int64_t>(queries.size()), ShapeError,
           "search: {} numbers are no vectors of {}", queries.size(), width_);
  WN_CHECK(k >= 1, ConfigError, "search: k must be at least 1, not {}", k);
  WN_CHECK(static_cast<int64_t>(out.size()) == count * k, ShapeError, "search: room for {} results, not for {} x {}",
           out.size(), count, k);
  const Selection* among = filter.among;
  WN_CHECK(among == nullptr || (among->owner_ == this && among->version_ == version_), ConfigError,
           "search: the selection was made of another index or before a change: call select() again");
  std::ranges::fill(out, Found{});
  if (count == 0 || size() == 0) return;
  find({queries, count, k, among != nullptr ? among->slots_.data() : live_.data(),
        among != nullptr ? among->size_ : size(), filter},
       out);
  for (int64_t q = 0; q < count; ++q) {
    const auto best = out.subspan(static_cast<size_t>(q * k), static_cast<size_t>(k));
    if (similarity_ == Similarity::Cosine) {
      const double length = length_of(queries.data() + q * width_, width_);
      for (Found& f : best)
        if (f.id >= 0 && length > 0) f.score = static_cast<float>(static_cast<double>(f.score) / length);
    }
    std::ranges::sort(best, [](const Found& a, const Found& b) {
      return a.score > b.score || (a.score == b.score && a.id < b.id && a.id >= 0);
    });
  }
}

Tensor VectorIndex::ids_tensor() const { return Tensor::of(id_of_, {slots(), 1}); }

void VectorIndex::load_ids(const IndexFile& file, int64_t count) {
  const Tensor ids = file.tensor("ids", DType::I64, count, 1);
  set_slots(count);
  slot_of_.reserve(static_cast<size_t>(count));
  for (int32_t slot = 0; slot < count; ++slot) {
    const int64_t id = ids.data<int64_t>()[slot];
    file.check(id >= -1, "an id below -1");
    if (id < 0) continue;
    file.check(!contains(id), "an id twice");
    bind(slot, id);
  }
}
void VectorIndex::check_vectors(const IndexFile& file, const float* x, int64_t n) {
  file.check(all_finite({x, static_cast<size_t>(n)}), "a vector with NaN or infinity");
}

void VectorIndex::set_slots(int64_t count) {
  id_of_.resize(static_cast<size_t>(count), -1);
  live_.resize(static_cast<size_t>((count + 63) / 64));
}
void VectorIndex::bind(int32_t slot, int64_t id) {
  id_of_[static_cast<size_t>(slot)] = id;
  live_[static_cast<size_t>(slot) / 64] |= uint64_t{1} << (slot % 64);
  slot_of_[id] = slot;
}
void VectorIndex::move_id(int32_t from, int32_t to) {
  const int64_t id = id_of(from);
  id_of_[static_cast<size_t>(from)] = -1;
  live_[static_cast<size_t>(from) / 64] &= ~(uint64_t{1} << (from % 64));
  bind(to, id);
}

}  // namespace winnow
