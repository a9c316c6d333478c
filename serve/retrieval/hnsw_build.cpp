// Insertion, removal and repair of the graph. Work is divided so that each thread writes links of slots of its own and
// reads what no one writes meanwhile: no locks, and the same graph for any number of threads.
#include <tuple>
#include <utility>

#include "core/parallel.h"
#include "serve/retrieval/hnsw_graph.h"

namespace winnow {
namespace {

// Inserted together. Each is compared with all that came before it in its batch, which costs as much as a twentieth of
// a search at ef_construction 200.
constexpr int64_t kBatch = 256;
constexpr int64_t kGroupsOfTask = 64;

}  // namespace

// Algorithm 4: a candidate is taken unless it is nearer to one taken before than to the base. Candidates come best
// first.
void HnswGraph::select(std::span<const Near> candidates, int64_t most, std::vector<Near>& out) const {
  constexpr int64_t kStep = 4;
  out.clear();
  std::vector<const float*> taken;
  float products[kStep];
  for (const Near& c : candidates) {
    if (static_cast<int64_t>(out.size()) == most) return;
    bool good = true;
    for (int64_t i = 0; good && i < static_cast<int64_t>(taken.size()); i += kStep) {
      const int64_t n = std::min<int64_t>(kStep, static_cast<int64_t>(taken.size()) - i);
      kernels_.dots(vectors.row(c.row), taken.data() + i, n, stride(), 0, products);
      for (int64_t j = 0; j < n; ++j) good &= !(products[j] > c.score);
    }
    if (!good) continue;
    out.push_back(c);
    taken.push_back(vectors.row(c.row));
  }
}

// The links of batch[i], as if those before it in the batch were in the graph already (algorithm 1, lines 5 to 11).
HnswGraph::Chosen HnswGraph::choose(std::span<const int32_t> batch, size_t i) const {
  WalkScratch& s = WalkScratch::of_thread();
  const int32_t slot = batch[i];
  const float* query = vectors.row(slot);
  const int level = level_of(slot);
  Chosen chosen;
  chosen.of_level.resize(static_cast<size_t>(level) + 1);
  score(query, batch.first(i), s);
  std::vector<Near> earlier;
  for (size_t j = 0; j < i; ++j) earlier.push_back({s.scores[j], batch[j]});
  Near from{0, -1};
  if (entry_ >= 0) from = descend(query, level, s);
  std::vector<Near> candidates;
  for (int l = level; l >= 0; --l) {
    candidates.clear();
    if (l <= top()) {
      s.pool.reset(ef_construction_);
      walk(query, l, from, nullptr, s);
      for (size_t c = 0; c < s.pool.size(); ++c) candidates.push_back(s.pool.at(c));
      if (!candidates.empty()) from = candidates.front();
    }
    for (const Near& e : earlier)
      if (level_of(e.row) >= l) candidates.push_back(e);
    // A vector that is being linked anew meets itself.
    std::erase_if(candidates, [&](const Near& c) { return c.row == slot; });
    std::ranges::sort(candidates, cpu::better);
    candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
    if (static_cast<int64_t>(candidates.size()) > ef_construction_)
      candidates.resize(static_cast<size_t>(ef_construction_));
    select(candidates, m_, chosen.of_level[static_cast<size_t>(l)]);
  }
  return chosen;
}

// Links from one target to new vectors; where there are too many, the best by algorithm 4 stay.
void HnswGraph::link_back(std::span<const Reverse> group) {
  WalkScratch& s = WalkScratch::of_thread();
  const int32_t target = group[0].target;
  const int level = group[0].level;
  const int64_t most = capacity(level);
  int32_t* to = writable_links(target, level);
  const auto count = std::find(to, to + most, -1) - to;
  const std::vector<int32_t> now(to, to + count);
  std::vector<Near> all;
  for (const Reverse& r : group)
    if (std::ranges::find(now, r.from) == now.end()) all.push_back({r.score, r.from});
  if (count + static_cast<int64_t>(all.size()) <= most) {
    for (size_t i = 0; i < all.size(); ++i) to[count + static_cast<int64_t>(i)] = all[i].row;
    return;
  }
  score(vectors.row(target), now, s);
  for (size_t i = 0; i < now.size(); ++i) all.push_back({s.scores[i], now[i]});
  std::ranges::sort(all, cpu::better);
  std::vector<Near> kept;
  select(all, most, kept);
  write_links(target, level, kept);
}

void HnswGraph::link_batch(std::span<const int32_t> batch) {
  const auto n = static_cast<int64_t>(batch.size());
  std::vector<Chosen> chosen(batch.size());
  parallel_tasks(n, [&](int64_t i) { chosen[static_cast<size_t>(i)] = choose(batch, static_cast<size_t>(i)); });
  std::vector<Reverse> back;
  for (size_t i = 0; i < batch.size(); ++i) {
    *in_graph.writable(batch[i]) = 1;
    for (int l = 0; l <= level_of(batch[i]); ++l) {
      const auto& to = chosen[i].of_level[static_cast<size_t>(l)];
      write_links(batch[i], l, to);
      for (const Near& t : to) back.push_back({l, t.row, batch[i], t.score});
    }
  }
  std::ranges::sort(back, [](const Reverse& a, const Reverse& b) {
    return std::tie(a.level, a.target, a.from) < std::tie(b.level, b.target, b.from);
  });
  std::vector<size_t> starts;
  for (size_t i = 0; i < back.size(); ++i)
    if (i == 0 || back[i].target != back[i - 1].target || back[i].level != back[i - 1].level) starts.push_back(i);
  starts.push_back(back.size());
  const auto groups = static_cast<int64_t>(starts.size()) - 1;
  parallel_tasks((groups + kGroupsOfTask - 1) / kGroupsOfTask, [&](int64_t task) {
    for (int64_t g = task * kGroupsOfTask; g < std::min(groups, (task + 1) * kGroupsOfTask); ++g) {
      const size_t begin = starts[static_cast<size_t>(g)], end = starts[static_cast<size_t>(g) + 1];
      link_back(std::span(back).subspan(begin, end - begin));
    }
  });
  for (const int32_t slot : batch)
    if (entry_ < 0 || level_of(slot) > top()) entry_ = slot;
}

void HnswGraph::insert(std::span<const int32_t> fresh) {
  for (size_t i = 0; i < fresh.size(); i += kBatch)
    link_batch(fresh.subspan(i, std::min<size_t>(kBatch, fresh.size() - i)));
}

// The links of a vector that stays, with those to doomed ones replaced.
void HnswGraph::bypass(int32_t slot, int level, const std::vector<bool>& doomed) {
  WalkScratch& s = WalkScratch::of_thread();
  const int64_t most = capacity(level);
  const int32_t* to = links(slot, level);
  const auto is_doomed = [&](int32_t i) { return doomed[static_cast<size_t>(i)]; };
  const auto count = std::find(to, to + most, -1) - to;
  if (std::none_of(to, to + count, is_doomed)) return;
  std::vector<int32_t> candidates;
  for (int64_t i = 0; i < count; ++i) {
    if (!is_doomed(to[i])) {
      candidates.push_back(to[i]);
      continue;
    }
    const int32_t* next = links(to[i], level);
    for (int64_t j = 0; j < most && next[j] >= 0; ++j)
      if (!is_doomed(next[j]) && next[j] != slot) candidates.push_back(next[j]);
  }
  std::ranges::sort(candidates);
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  score(vectors.row(slot), candidates, s);
  std::vector<Near> all, kept;
  for (size_t i = 0; i < candidates.size(); ++i) all.push_back({s.scores[i], candidates[i]});
  std::ranges::sort(all, cpu::better);
  select(all, most, kept);
  write_links(slot, level, kept);
}

void HnswGraph::take_out(std::span<const int32_t> gone) {
  std::vector<bool> doomed(static_cast<size_t>(slots()));
  for (const int32_t slot : gone) doomed[static_cast<size_t>(slot)] = true;
  // Copies a mapped graph before threads write to it.
  writable_links(0, 0);
  if (upper.rows() > 0) upper.writable(0);
  parallel_for(slots(), 256, [&](int64_t begin, int64_t end) {
    for (auto slot = static_cast<int32_t>(begin); slot < end; ++slot)
      if (holds(slot) && !doomed[static_cast<size_t>(slot)])
        for (int l = 0; l <= level_of(slot); ++l) bypass(slot, l, doomed);
  });
  for (const int32_t slot : gone) {
    *in_graph.writable(slot) = 0;
    for (int l = 0; l <= level_of(slot); ++l) write_links(slot, l, {});
  }
  if (entry_ >= 0 && doomed[static_cast<size_t>(entry_)]) {
    entry_ = -1;
    for (int32_t slot = 0; slot < slots(); ++slot)
      if (holds(slot) && (entry_ < 0 || level_of(slot) > top())) entry_ = slot;
  }
  std::vector<int32_t> lonely;  // all they were linked to is gone
  for (int32_t slot = 0; slot < slots(); ++slot)
    if (holds(slot) && slot != entry_ && *links(slot, 0) < 0) lonely.push_back(slot);
  insert(lonely);
  connect();
}

namespace {

// Marks what can be reached from `start` at level 0.
void reach(const HnswGraph& graph, int32_t start, std::vector<bool>& reached) {
  std::vector<int32_t> open = {start};
  reached[static_cast<size_t>(start)] = true;
  while (!open.empty()) {
    const int32_t slot = open.back();
    open.pop_back();
    const int32_t* to = graph.links(slot, 0);
    for (int64_t i = 0; i < graph.capacity(0) && to[i] >= 0; ++i) {
      if (reached[static_cast<size_t>(to[i])]) continue;
      reached[static_cast<size_t>(to[i])] = true;
      open.push_back(to[i]);
    }
  }
}

}  // namespace

int64_t HnswGraph::unreachable() const {
  std::vector<bool> reached(static_cast<size_t>(slots()));
  if (entry_ >= 0) reach(*this, entry_, reached);
  int64_t count = 0;
  for (int32_t slot = 0; slot < slots(); ++slot) count += holds(slot) && !reached[static_cast<size_t>(slot)] ? 1 : 0;
  return count;
}

// Puts a vector on the way from the nearest reachable one to the last of its links: what was reachable stays so.
void HnswGraph::split_link(int32_t slot, const std::vector<bool>& reached) {
  WalkScratch& s = WalkScratch::of_thread();
  search(vectors.row(slot), ef_construction_, nullptr, s);
  const int64_t most = capacity(0);
  int32_t near = entry_;
  for (size_t i = s.pool.size(); i-- > 0;)
    if (reached[static_cast<size_t>(s.pool.at(i).row)]) near = s.pool.at(i).row;
  int32_t* to = writable_links(near, 0);
  const auto count = std::find(to, to + most, -1) - to;
  if (count < most) {
    to[count] = slot;
    return;
  }
  int32_t* own = writable_links(slot, 0);
  const auto mine = std::find(own, own + most, -1) - own;
  const int32_t last = std::exchange(to[most - 1], slot);
  if (std::find(own, own + mine, last) == own + mine) own[std::min<int64_t>(mine, most - 1)] = last;
}

void HnswGraph::connect() {
  if (entry_ < 0) return;
  std::vector<bool> reached(static_cast<size_t>(slots()));
  reach(*this, entry_, reached);
  for (int32_t slot = 0; slot < slots(); ++slot) {
    if (!holds(slot) || reached[static_cast<size_t>(slot)]) continue;
    split_link(slot, reached);
    reach(*this, slot, reached);
  }
}

}  // namespace winnow
