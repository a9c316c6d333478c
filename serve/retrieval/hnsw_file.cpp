#include "core/safetensors.h"
#include "serve/retrieval/hnsw.h"
#include "serve/retrieval/hnsw_graph.h"
#include "serve/retrieval/index_file.h"

namespace winnow {

void HnswIndex::save(const std::string& path) const {
  IndexFile::save(path, *this,
                  {{"ids", ids_tensor()},
                   {"vectors", graph_->vectors.tensor()},
                   {"levels", graph_->levels.tensor()},
                   {"in_graph", graph_->in_graph.tensor()},
                   {"links", graph_->lower.tensor()},
                   {"upper_links", graph_->upper.tensor()},
                   {"next_equal", next_equal_.tensor()}},
                  {{"m", std::to_string(options_.m)},
                   {"ef_construction", std::to_string(options_.ef_construction)},
                   {"ef_search", std::to_string(options_.ef_search)},
                   {"seed", std::to_string(static_cast<int64_t>(options_.seed))},
                   {"entry", std::to_string(graph_->entry())}});
}

std::map<std::string, std::string> HnswIndex::facts() const {
  int64_t links = 0, places = 0;
  int top = 0;
  for (int32_t slot = 0; slot < graph_->slots(); ++slot) {
    if (!graph_->holds(slot)) continue;
    ++places;
    top = std::max(top, graph_->level_of(slot));
    const int32_t* to = graph_->links(slot, 0);
    for (int64_t i = 0; i < graph_->capacity(0) && to[i] >= 0; ++i) ++links;
  }
  const auto mean = static_cast<double>(links) / static_cast<double>(std::max<int64_t>(places, 1));
  return {{"m", std::to_string(options_.m)},
          {"ef_construction", std::to_string(options_.ef_construction)},
          {"ef_search", std::to_string(options_.ef_search)},
          {"distinct_vectors", std::to_string(places)},
          {"layers", std::to_string(top + 1)},
          {"mean_links", fmt::format("{:.1f}", mean)},
          {"unreachable", std::to_string(unreachable())},
          {"vector_bytes", std::to_string(graph_->slots() * graph_->stride() * 4)},
          {"link_bytes", std::to_string((graph_->lower.rows() * 2 + graph_->upper.rows()) * graph_->m() * 4)}};
}

std::unique_ptr<VectorIndex> HnswIndex::open(const IndexFile& file, int64_t width, Similarity similarity) {
  HnswOptions options;
  options.m = file.number("m", 2, 128);
  options.ef_construction = file.number("ef_construction", 1, 10000);
  options.ef_search = file.number("ef_search", 1, 100000);
  options.seed = static_cast<uint64_t>(file.number("seed", INT64_MIN, INT64_MAX));
  auto index = std::make_unique<HnswIndex>(width, similarity, options);
  HnswGraph& graph = *index->graph_;
  graph.vectors.map(file.tensor("vectors", DType::F32, -1, graph.stride()));
  const int64_t slots = graph.slots();
  graph.levels.map(file.tensor("levels", DType::U8, slots, 1));
  graph.in_graph.map(file.tensor("in_graph", DType::U8, slots, 1));
  graph.lower.map(file.tensor("links", DType::I32, slots, 2 * options.m));
  int64_t rows = 0;
  for (int32_t slot = 0; slot < slots; ++slot) {
    file.check(graph.level_of(slot) <= HnswGraph::kMaxLevel, "a level over 15");
    graph.upper_start.push_back(static_cast<int32_t>(rows));
    rows += graph.level_of(slot);
    file.check(rows <= INT32_MAX, "too many links");
  }
  graph.upper.map(file.tensor("upper_links", DType::I32, rows, options.m));
  index->next_equal_.map(file.tensor("next_equal", DType::I32, slots, 1));
  index->load_ids(file, slots);
  check_vectors(file, graph.vectors.data(), slots * graph.stride());
  graph.set_entry(static_cast<int32_t>(file.number("entry", -1, slots - 1)));
  index->check_links(file);
  index->check_chains(file);
  index->indexed_ = false;
  return index;
}

void HnswIndex::check_links(const IndexFile& file) const {
  int top = -1;
  for (int32_t slot = 0; slot < slots(); ++slot) {
    file.check(*graph_->in_graph.row(slot) <= 1, "in_graph is neither 0 nor 1");
    if (graph_->holds(slot)) top = std::max(top, graph_->level_of(slot));
    for (int level = 0; level <= graph_->level_of(slot); ++level) {
      const int32_t* to = graph_->links(slot, level);
      bool end = false;
      for (int64_t i = 0; i < graph_->capacity(level); ++i) {
        if (to[i] == -1) end = true;
        if (end) {
          file.check(to[i] == -1, "a link behind the last");
          continue;
        }
        file.check(to[i] >= 0 && to[i] < slots() && to[i] != slot, "a link to no vector");
        file.check(graph_->holds(slot) && graph_->holds(to[i]) && graph_->level_of(to[i]) >= level,
                   "a link to or from a vector outside of its layer");
      }
    }
  }
  const int32_t entry = graph_->entry();
  file.check(entry < 0 ? top < 0 : graph_->holds(entry) && graph_->level_of(entry) == top,
             "the entry is not in the highest layer");
}

// Each slot with an id is a place of the graph or in the chain of one; all others are free.
void HnswIndex::check_chains(const IndexFile& file) {
  std::vector<bool> seen(static_cast<size_t>(slots()));
  for (int32_t place = 0; place < slots(); ++place) {
    if (!graph_->holds(place)) continue;
    seen[static_cast<size_t>(place)] = true;
    for (int32_t slot = *next_equal_.row(place); slot != -1; slot = *next_equal_.row(slot)) {
      file.check(slot >= 0 && slot < slots() && !graph_->holds(slot) && !seen[static_cast<size_t>(slot)],
                 "a broken chain of equal vectors");
      seen[static_cast<size_t>(slot)] = true;
    }
  }
  for (auto slot = static_cast<int32_t>(slots()); slot-- > 0;) {
    const bool known = seen[static_cast<size_t>(slot)];
    file.check(known || (!is_live(slot) && *next_equal_.row(slot) == -1), "a vector that no walk can find");
    if (!known) free_.push_back(slot);
    dead_ += known && !is_live(slot) ? 1 : 0;
  }
}

}  // namespace winnow
