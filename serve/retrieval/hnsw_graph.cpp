#include "serve/retrieval/hnsw_graph.h"

#include <cmath>

#include "core/rng.h"

namespace winnow {
namespace {

// Vectors that are fetched before their products are taken.
constexpr int64_t kAhead = 8;
constexpr int64_t kLineInts = 16;

}  // namespace

void WalkPool::insert(float score, int32_t slot, bool may) {
  // From the back: most of what is admitted is far behind the best.
  size_t at = items_.size();
  while (at > 0 && items_[at - 1].score < score) --at;
  items_.insert(items_.begin() + static_cast<int64_t>(at),
                Item{score, static_cast<uint32_t>(slot) * 4 + (may ? 0 : kBlocked)});
  cursor_ = std::min(cursor_, at);
  found_ += may ? 1 : 0;
  const auto drop = [&] {
    found_ -= (items_.back().tag & kBlocked) == 0 ? 1 : 0;
    items_.pop_back();
  };
  while (found_ > ef_ || static_cast<int64_t>(items_.size()) > kMostOfEf * ef_) drop();
  if (found_ == ef_)  // what is behind the last that may be found leads nowhere
    while ((items_.back().tag & kBlocked) != 0) drop();
}
int32_t WalkPool::next() {
  while (cursor_ < items_.size() && (items_[cursor_].tag & kGiven) != 0) ++cursor_;
  if (cursor_ >= items_.size()) return -1;
  items_[cursor_].tag |= kGiven;
  return static_cast<int32_t>(items_[cursor_++].tag >> 2);
}
int32_t WalkPool::peek() const {
  for (size_t i = cursor_; i < items_.size(); ++i)
    if ((items_[i].tag & kGiven) == 0) return static_cast<int32_t>(items_[i].tag >> 2);
  return -1;
}

WalkScratch& WalkScratch::of_thread() {
  thread_local WalkScratch scratch;
  return scratch;
}
bool WalkScratch::visit(int32_t slot) {
  uint64_t& word = visited[static_cast<size_t>(slot) / 64];
  const uint64_t bit = uint64_t{1} << (slot % 64);
  if ((word & bit) != 0) return false;
  word |= bit;
  touched.push_back(slot);
  return true;
}
void WalkScratch::clear_visits() {
  for (const int32_t slot : touched) visited[static_cast<size_t>(slot) / 64] = 0;
  touched.clear();
}

HnswGraph::HnswGraph(int64_t width, int64_t m, int64_t ef_construction, uint64_t seed)
    : vectors((width + 15) / 16 * 16),
      levels(1),
      in_graph(1),
      lower(2 * m),
      upper(m),
      m_(m),
      ef_construction_(ef_construction),
      seed_(seed),
      kernels_(cpu::vector_kernels()) {}

// Section 4.1: levels are exponentially distributed, mL = 1 / ln M.
void HnswGraph::grow(int64_t count) {
  const int64_t before = slots();
  vectors.resize(count, 0);
  lower.resize(count, -1);
  in_graph.resize(count, 0);
  levels.resize(count, 0);
  int64_t rows = upper.rows();
  for (int64_t slot = before; slot < count; ++slot) {
    const double u = Rng(seed_, static_cast<uint64_t>(slot)).uniform();
    const double level = std::floor(-std::log(u) / std::log(static_cast<double>(m_)));
    *levels.writable(slot) = static_cast<uint8_t>(std::min<double>(level, kMaxLevel));
    upper_start.push_back(static_cast<int32_t>(rows));
    rows += *levels.row(slot);
  }
  upper.resize(rows, -1);
}

void HnswGraph::score(const float* query, std::span<const int32_t> slots, WalkScratch& s) const {
  s.rows.resize(slots.size());
  s.scores.resize(slots.size());
  for (size_t i = 0; i < slots.size(); ++i) s.rows[i] = vectors.row(slots[i]);
  kernels_.dots(query, s.rows.data(), static_cast<int64_t>(slots.size()), stride(), kAhead, s.scores.data());
}

// Greedy from the entry down to the level above `above` (algorithm 5, lines 4 and 5).
Near HnswGraph::descend(const float* query, int above, WalkScratch& s) const {
  score(query, std::span(&entry_, 1), s);
  Near best{s.scores[0], entry_};
  for (int level = top(); level > above; --level)
    for (bool moved = true; moved;) {
      moved = false;
      const int32_t* to = links(best.row, level);
      s.fresh.clear();
      for (int64_t i = 0; i < m_ && to[i] >= 0; ++i) s.fresh.push_back(to[i]);
      score(query, s.fresh, s);
      for (size_t i = 0; i < s.fresh.size(); ++i)
        if (s.scores[i] > best.score) {
          best = {s.scores[i], s.fresh[i]};
          moved = true;
        }
    }
  return best;
}

// Algorithm 2; its result is scratch.pool, whose ef was set.
void HnswGraph::walk(const float* query, int level, Near from, const MayFind* may, WalkScratch& s) const {
  s.visited.resize(std::max(s.visited.size(), static_cast<size_t>(slots() + 63) / 64));
  const int64_t most = capacity(level);
  s.visit(from.row);
  if (s.pool.admits(from.score)) s.pool.insert(from.score, from.row, may == nullptr || (*may)(from.row));
  for (int32_t slot; (slot = s.pool.next()) >= 0;) {
    const int32_t* to = links(slot, level);
    s.fresh.clear();
    for (int64_t i = 0; i < most && to[i] >= 0; ++i)
      if (s.visit(to[i])) s.fresh.push_back(to[i]);
    if (const int32_t then = s.pool.peek(); then >= 0) {
      const int32_t* ahead = links(then, level);
      for (int64_t i = 0; i < most; i += kLineInts) __builtin_prefetch(ahead + i);
    }
    score(query, s.fresh, s);
    for (size_t i = 0; i < s.fresh.size(); ++i)
      if (s.pool.admits(s.scores[i])) s.pool.insert(s.scores[i], s.fresh[i], may == nullptr || (*may)(s.fresh[i]));
  }
  s.clear_visits();
}

void HnswGraph::search(const float* query, int64_t ef, const MayFind* may, WalkScratch& s) const {
  s.pool.reset(ef);
  if (entry_ < 0) return;
  walk(query, 0, descend(query, 0, s), may, s);
}

int32_t* HnswGraph::writable_links(int32_t slot, int level) {
  return level == 0 ? lower.writable(slot) : upper.writable(upper_start[static_cast<size_t>(slot)] + level - 1);
}
void HnswGraph::write_links(int32_t slot, int level, std::span<const Near> to) {
  int32_t* out = writable_links(slot, level);
  std::fill(out, out + capacity(level), -1);
  for (size_t i = 0; i < to.size(); ++i) out[i] = to[i].row;
}

}  // namespace winnow
