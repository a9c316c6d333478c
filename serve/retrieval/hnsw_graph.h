// The graph of an HNSW index: layers of links between vectors, walked from far to near.
// Sections and algorithms are those of Malkov and Yashunin 2018, "Efficient and robust approximate nearest neighbor
// search using hierarchical navigable small world graphs".
#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "core/cpu/topk.h"
#include "core/cpu/vector_kernels.h"
#include "serve/retrieval/column.h"

namespace winnow {

using Near = cpu::ScoredRow;  // a slot and its product with a query

// Which slots a walk may return; others are walked through.
struct MayFind {
  bool (*asks)(const void* context, int32_t slot);
  const void* context;
  bool operator()(int32_t slot) const { return asks(context, slot); }
};

// The best slots that a walk has seen, best first: those that may be found, at most ef of them, and what lies between,
// at most 32 ef.
class WalkPool {
 public:
  void reset(int64_t ef) { items_.clear(), ef_ = ef, found_ = 0, cursor_ = 0; }
  bool admits(float score) const { return score > (full() ? items_.back().score : kLowest); }
  void insert(float score, int32_t slot, bool may);
  int32_t next();  // the best slot that was not yet given, -1 at the end
  int32_t peek() const;
  size_t size() const { return items_.size(); }
  Near at(size_t i) const { return {items_[i].score, static_cast<int32_t>(items_[i].tag >> 2)}; }
  bool may(size_t i) const { return (items_[i].tag & kBlocked) == 0; }

 private:
  static constexpr float kLowest = -std::numeric_limits<float>::infinity();
  static constexpr uint32_t kBlocked = 1, kGiven = 2;
  static constexpr int64_t kMostOfEf = 32;  // where a filter lets less than 1 in 32 pass, a walk is no way to search
  bool full() const { return found_ == ef_ || static_cast<int64_t>(items_.size()) >= kMostOfEf * ef_; }
  struct Item {
    float score;
    uint32_t tag;  // slot x 4 + flags
  };
  std::vector<Item> items_;
  int64_t ef_ = 0, found_ = 0;
  size_t cursor_ = 0;
};

// What a walk needs, one for each thread; nothing is allocated once it has grown to the graph.
struct WalkScratch {
  WalkPool pool;
  std::vector<uint64_t> visited;
  std::vector<int32_t> touched, fresh;
  std::vector<const float*> rows;
  std::vector<float> scores, query;
  static WalkScratch& of_thread();
  bool visit(int32_t slot);  // whether it was new
  void clear_visits();
};

class HnswGraph {
 public:
  static constexpr int kMaxLevel = 15;
  HnswGraph(int64_t width, int64_t m, int64_t ef_construction, uint64_t seed);

  int64_t slots() const { return vectors.rows(); }
  int64_t stride() const { return vectors.width(); }  // floats of a vector, zeros behind width
  int64_t capacity(int level) const { return level == 0 ? 2 * m_ : m_; }
  const int32_t* links(int32_t slot, int level) const {  // up to capacity, -1 behind the last
    return level == 0 ? lower.row(slot) : upper.row(upper_start[static_cast<size_t>(slot)] + level - 1);
  }
  bool holds(int32_t slot) const { return *in_graph.row(slot) != 0; }
  int level_of(int32_t slot) const { return *levels.row(slot); }
  int32_t entry() const { return entry_; }

  void grow(int64_t slots);  // with the levels of the new ones: a function of seed and slot alone
  // Links vectors that lie in their slots already. Those of one call see each other as if they came one by one.
  void insert(std::span<const int32_t> fresh);
  // Takes vectors out: who was linked to one is linked to its neighbours instead (Singh et al. 2021, FreshDiskANN,
  // algorithm 4).
  void take_out(std::span<const int32_t> doomed);
  // Makes every vector reachable from the entry. O(vectors).
  void connect();
  int64_t unreachable() const;

  // Leaves the ef best in scratch.pool (algorithm 5). query: stride floats.
  void search(const float* query, int64_t ef, const MayFind* may, WalkScratch& scratch) const;

  // The parts, as a file holds them.
  Column<float> vectors;
  Column<uint8_t> levels, in_graph;
  Column<int32_t> lower, upper;
  std::vector<int32_t> upper_start;  // row of `upper` of level 1
  void set_entry(int32_t slot) { entry_ = slot; }
  int64_t m() const { return m_; }
  int64_t ef_construction() const { return ef_construction_; }
  uint64_t seed() const { return seed_; }

 private:
  struct Chosen {
    std::vector<std::vector<Near>> of_level;
  };
  struct Reverse {
    int32_t level, target, from;
    float score;
  };
  int32_t* writable_links(int32_t slot, int level);
  void write_links(int32_t slot, int level, std::span<const Near> to);
  Near descend(const float* query, int above, WalkScratch& scratch) const;
  void walk(const float* query, int level, Near from, const MayFind* may, WalkScratch& scratch) const;
  void score(const float* query, std::span<const int32_t> slots, WalkScratch& scratch) const;
  Chosen choose(std::span<const int32_t> batch, size_t i) const;
  void select(std::span<const Near> candidates, int64_t most, std::vector<Near>& out) const;
  void link_batch(std::span<const int32_t> batch);
  void link_back(std::span<const Reverse> group);
  void bypass(int32_t slot, int level, const std::vector<bool>& doomed);
  void split_link(int32_t slot, const std::vector<bool>& reached);
  int top() const { return entry_ < 0 ? -1 : level_of(entry_); }

  int64_t m_, ef_construction_;
  uint64_t seed_;
  int32_t entry_ = -1;
  const cpu::VectorKernels& kernels_;
};

}  // namespace winnow
