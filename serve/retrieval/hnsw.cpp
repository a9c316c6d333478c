#include "serve/retrieval/hnsw.h"

#include <utility>

#include "core/error.h"
#include "core/parallel.h"
#include "serve/retrieval/hnsw_graph.h"

namespace winnow {
namespace {

uint64_t hash_of(const float* x, int64_t n) {
  uint64_t h = 0x9e3779b97f4a7c15u;
  for (int64_t i = 0; i < n; i += 2) {
    uint64_t word;
    std::memcpy(&word, x + i, sizeof(word));
    h = (h ^ word) * 0xff51afd7ed558ccdu;
    h ^= h >> 32;
  }
  return h;
}

}  // namespace

// What a query may find: any id of a place of the graph.
struct HnswIndex::Walk {
  const HnswIndex& index;
  const Query& query;
  int64_t q;
  bool may(int32_t slot) const {
    return (query.may[slot / 64] >> (slot % 64) & 1) != 0 &&
           (!query.filter.may_find || query.filter.may_find(q, index.id_of(slot)));
  }
};
bool HnswIndex::may_find(const void* walk, int32_t slot) {
  const Walk& w = *static_cast<const Walk*>(walk);
  for (; slot >= 0; slot = *w.index.next_equal_.row(slot))
    if (w.may(slot)) return true;
  return false;
}

HnswIndex::HnswIndex(int64_t width, Similarity similarity, const HnswOptions& options)
    : VectorIndex(width, similarity),
      options_(options),
      graph_(
          std::make_unique<HnswGraph>(width, std::max<int64_t>(options.m, 2), options.ef_construction, options.seed)),
      next_equal_(1) {
  WN_CHECK(options.m >= 2 && options.m <= 128, ConfigError, "hnsw: m {} is not in 2..128", options.m);
  WN_CHECK(options.ef_construction >= 1 && options.ef_construction <= 10000, ConfigError,
           "hnsw: ef_construction {} is not in 1..10000", options.ef_construction);
  set_ef_search(options.ef_search);
}

HnswIndex::~HnswIndex() = default;

int64_t HnswIndex::unreachable() const { return graph_->unreachable(); }

void HnswIndex::set_ef_search(int64_t ef) {
  WN_CHECK(ef >= 1 && ef <= 100000, ConfigError, "hnsw: ef_search {} is not in 1..100000", ef);
  options_.ef_search = ef;
}

int32_t HnswIndex::take_slot() {
  if (free_.empty()) {
    const auto slot = static_cast<int32_t>(slots());
    set_slots(slot + 1);
    graph_->grow(slot + 1);
    next_equal_.resize(slot + 1, -1);
    return slot;
  }
  const int32_t slot = free_.back();
  free_.pop_back();
  return slot;
}

void HnswIndex::index_vectors() {
  if (std::exchange(indexed_, true)) return;
  for (int32_t slot = 0; slot < graph_->slots(); ++slot)
    if (graph_->holds(slot)) by_vector_.emplace(hash_of(graph_->vectors.row(slot), graph_->stride()), slot);
}

int32_t HnswIndex::equal_of(int32_t slot) {
  const float* x = graph_->vectors.row(slot);
  const auto [at, is_new] = by_vector_.emplace(hash_of(x, graph_->stride()), slot);
  // Of two different vectors with one hash only the first is known: the second has no equal ones, which is harmless.
  const bool same = !is_new && std::memcmp(x, graph_->vectors.row(at->second),
                                           static_cast<size_t>(graph_->stride()) * sizeof(float)) == 0;
  return same ? at->second : -1;
}

void HnswIndex::insert(std::span<const int64_t> ids, std::span<const float> vectors) {
  index_vectors();
  std::vector<int32_t> fresh;
  for (size_t i = 0; i < ids.size(); ++i) {
    const int32_t slot = take_slot();
    float* to = graph_->vectors.writable(slot);
    const float* from = vectors.data() + static_cast<int64_t>(i) * width();
    for (int64_t j = 0; j < width(); ++j) to[j] = from[j] + 0.f;  // -0 becomes 0: equal vectors have equal bytes
    bind(slot, ids[i]);
    const int32_t equal = equal_of(slot);
    if (equal < 0) {
      fresh.push_back(slot);
      continue;
    }
    *next_equal_.writable(slot) = *next_equal_.row(equal);
    *next_equal_.writable(equal) = slot;
  }
  graph_->insert(fresh);
  changed_ += static_cast<int64_t>(ids.size());
}

void HnswIndex::erased(std::span<const int32_t> gone) {
  dead_ += static_cast<int64_t>(gone.size());
  if (dead_ * 5 >= slots() - static_cast<int64_t>(free_.size())) clean();
}

// Ids that are gone leave their chains; places without ids leave the graph.
void HnswIndex::clean() {
  index_vectors();
  std::vector<int32_t> doomed;
  std::vector<bool> kept(static_cast<size_t>(slots()));
  for (int32_t place = 0; place < slots(); ++place) {
    if (!graph_->holds(place)) continue;
    bool any = is_live(place);
    int32_t last = place;
    for (int32_t slot = *next_equal_.row(place); slot >= 0;) {
      const int32_t next = *next_equal_.row(slot);
      *next_equal_.writable(slot) = -1;
      if (is_live(slot)) {
        *next_equal_.writable(last) = slot;
        last = slot;
        any = kept[static_cast<size_t>(slot)] = true;
      }
      slot = next;
    }
    *next_equal_.writable(last) = -1;
    kept[static_cast<size_t>(place)] = any;
    if (!any) doomed.push_back(place);
  }
  for (const int32_t place : doomed) {
    const auto at = by_vector_.find(hash_of(graph_->vectors.row(place), graph_->stride()));
    if (at != by_vector_.end() && at->second == place) by_vector_.erase(at);
  }
  if (!doomed.empty()) graph_->take_out(doomed);
  free_.clear();
  dead_ = 0;
  for (auto slot = static_cast<int32_t>(slots()); slot-- > 0;) {
    if (!kept[static_cast<size_t>(slot)]) free_.push_back(slot);
    dead_ += kept[static_cast<size_t>(slot)] && !is_live(slot) ? 1 : 0;
  }
}

void HnswIndex::settle() {
  if (changed_ * 8 < size()) return;
  graph_->connect();
  changed_ = 0;
}

// A walk that may return a share s of the vectors looks at about ef / s of them and their links.
bool HnswIndex::few(const Query& q, int64_t ef) const {
  constexpr int64_t kLinksSeen = 20;
  return q.may_count * q.may_count < kLinksSeen * ef * size();
}

void HnswIndex::find(const Query& query, std::span<Found> out) const {
  parallel_tasks(query.count, [&](int64_t q) { find_one(query, q, out.data() + q * query.k); });
}

void HnswIndex::find_one(const Query& query, int64_t q, Found* out) const {
  const int64_t ef = std::max(query.k, options_.ef_search);
  const bool filtered = query.may_count < slots() || query.filter.may_find;
  if (filtered && query.may_count < size() && few(query, ef)) return scan(query, q, out);
  WalkScratch& s = WalkScratch::of_thread();
  s.query.assign(static_cast<size_t>(graph_->stride()), 0);
  std::copy_n(query.vectors.data() + q * width(), width(), s.query.data());
  const Walk walk{*this, query, q};
  const MayFind may{may_find, &walk};
  graph_->search(s.query.data(), ef, filtered ? &may : nullptr, s);
  int64_t found = 0;
  for (size_t i = 0; i < s.pool.size() && found < query.k; ++i) {
    if (!s.pool.may(i)) continue;
    const Near near = s.pool.at(i);
    for (int32_t slot = near.row; slot >= 0 && found < query.k; slot = *next_equal_.row(slot))
      if (!filtered || walk.may(slot)) out[found++] = {id_of(slot), near.score};
  }
  if (found < std::min(query.k, query.may_count)) scan(query, q, out);
}

void HnswIndex::scan(const Query& query, int64_t q, Found* out) const {
  std::vector<float> padded(static_cast<size_t>(graph_->stride()));
  std::copy_n(query.vectors.data() + q * width(), width(), padded.data());
  std::vector<cpu::ScoredRow> best(static_cast<size_t>(std::min(query.k, query.may_count)));
  if (best.empty()) return;
  cpu::TopkProblem problem{
      padded.data(), 1, graph_->vectors.data(), slots(), graph_->stride(), static_cast<int64_t>(best.size()),
      query.may,     {}};
  if (query.filter.may_find)
    problem.may_find = [&](int64_t, int32_t slot) { return query.filter.may_find(q, id_of(slot)); };
  cpu::topk(problem, best.data());
  for (size_t i = 0; i < best.size(); ++i)
    out[i] = best[i].row < 0 ? Found{} : Found{id_of(best[i].row), best[i].score};
}

}  // namespace winnow
