// Approximate search through a graph (Malkov and Yashunin 2018, hierarchical navigable small worlds).
//
// Construction: algorithms 1 to 4 with heuristic neighbour selection, at most m links a vector and layer, 2 m in the
// lowest. Vectors are inserted in batches of 256: each searches the graph as it was before the batch and is compared
// with all that came before it in the batch; then all links are written, each list by one thread. The graph is the
// same, bit for bit, for any number of threads; it depends on seed, on the order of vectors and on how they were
// divided into calls of add().
//
// Equal vectors are one place of the graph, however many ids they have, so that a crowd of them cannot cut the graph
// apart. Once an eighth is new, vectors that no walk could reach are linked in.
//
// Removed vectors are walked through and not found. Once they are a fifth, those that were linked to them are linked to
// their neighbours instead (Singh et al. 2021, FreshDiskANN, section 5), and their slots serve for new vectors.
//
// Inner product of vectors of different lengths is searched in the same way (Morozov and Babenko 2018, ip-NSW); recall
// is lower there than for cosine: measure it.
#pragma once
#include <memory>

#include "serve/retrieval/column.h"
#include "serve/retrieval/index.h"

namespace winnow {

class HnswGraph;
class IndexFile;

struct HnswOptions {
  int64_t m = 16;                 // 2..128
  int64_t ef_construction = 200;  // candidates at insertion, 1..10000
  int64_t ef_search = 64;         // candidates of a search; k where that is more
  uint64_t seed = 0;              // of the levels
};

// Memory of a vector: 4 round_up(width, 16) + 8 m bytes, and some 60 for its id.
class HnswIndex : public VectorIndex {
 public:
  HnswIndex(int64_t width, Similarity similarity, const HnswOptions& options = {});  // ConfigError
  ~HnswIndex() override;
  std::string_view type() const override { return "hnsw"; }
  void save(const std::string& path) const override;
  std::map<std::string, std::string> facts() const override;

  void set_ef_search(int64_t ef);  // ConfigError unless 1..100000
  int64_t ef_search() const { return options_.ef_search; }
  int64_t unreachable() const;  // vectors of the graph that no walk finds

  static std::unique_ptr<VectorIndex> open(const IndexFile& file, int64_t width, Similarity similarity);

 protected:
  void insert(std::span<const int64_t> ids, std::span<const float> vectors) override;
  void erased(std::span<const int32_t> slots) override;
  void settle() override;
  // A filter that leaves few, or with which a walk finds fewer than k, is answered by exact search.
  void find(const Query& query, std::span<Found> out) const override;

 private:
  struct Walk;  // of one query
  static bool may_find(const void* walk, int32_t slot);
  void find_one(const Query& query, int64_t q, Found* out) const;
  bool few(const Query& query, int64_t ef) const;
  void scan(const Query& query, int64_t q, Found* out) const;
  int32_t take_slot();
  int32_t equal_of(int32_t slot);  // the place of the graph with the same vector, -1: none yet
  void index_vectors();
  void clean();
  void check_links(const IndexFile& file) const;
  void check_chains(const IndexFile& file);

  HnswOptions options_;
  std::unique_ptr<HnswGraph> graph_;
  Column<int32_t> next_equal_;                       // by slot: the next id of the same vector, -1: the last
  std::vector<int32_t> free_;                        // descending
  std::unordered_map<uint64_t, int32_t> by_vector_;  // hash -> place of the graph
  bool indexed_ = true;                              // by_vector_ is complete: not so after open()
  int64_t dead_ = 0, changed_ = 0;                   // removed and still in place; added since the last connect()
};

}  // namespace winnow
