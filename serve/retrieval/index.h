// Vectors under ids of the caller's, searched by inner product or by cosine.
//
//   auto index = std::make_unique<HnswIndex>(width, Similarity::Cosine);
//   index->add(ids, vectors);
//   index->search(queries, 10, {}, found);           // found [queries, 10]
//   index->save("items.index"); auto again = open_index("items.index");
//
// Searches may run at the same time from several threads. add() and remove() may not run beside anything else: who
// serves meanwhile keeps two copies or a lock. All results are the same for any number of threads.
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/tensor.h"

namespace winnow {

class IndexFile;

enum class Similarity : uint8_t { InnerProduct, Cosine };
std::string_view name_of(Similarity similarity);     // "inner_product", "cosine"
Similarity similarity_named(std::string_view name);  // ConfigError

struct Found {
  int64_t id = -1;  // -1: no more could be found; score is -inf then
  float score = -std::numeric_limits<float>::infinity();
  friend bool operator==(const Found&, const Found&) = default;
};

// Some of the ids of an index (a category, what is in stock), looked up once for many searches. Any change of the index
// makes it stale: searching with it then is a ConfigError.
class Selection {
 public:
  Selection() = default;
  int64_t size() const { return size_; }

 private:
  friend class VectorIndex;
  std::vector<uint64_t> slots_;  // a bit each
  int64_t size_ = 0;
  uint64_t version_ = 0;
  const void* owner_ = nullptr;
};

struct Filter {
  const Selection* among = nullptr;  // null: all
  // Asked, from several threads, about ids that are good enough to be returned (what a user has seen); empty: no one
  // asks.
  std::function<bool(int64_t query, int64_t id)> may_find;
};

class VectorIndex {
 public:
  static constexpr int64_t kMaxWidth = 65536, kMaxVectors = (int64_t{1} << 30) - 1;

  virtual ~VectorIndex() = default;
  VectorIndex(const VectorIndex&) = delete;
  VectorIndex& operator=(const VectorIndex&) = delete;

  virtual std::string_view type() const = 0;  // "exact", "hnsw"
  Similarity similarity() const { return similarity_; }
  int64_t width() const { return width_; }
  int64_t size() const { return static_cast<int64_t>(slot_of_.size()); }
  bool contains(int64_t id) const { return slot_of_.contains(id); }
  std::vector<int64_t> ids() const;  // ascending

  // vectors [ids, width]. Nothing is added when any is refused. DataError: an id below 0, given twice or already there,
  // a number that is not finite; ShapeError.
  void add(std::span<const int64_t> ids, std::span<const float> vectors);
  // How many of the ids were there.
  int64_t remove(std::span<const int64_t> ids);
  // Of ids that are there; others are passed over.
  Selection select(std::span<const int64_t> ids) const;

  // queries [q, width], out [q, k]: of each query the k vectors of largest similarity, best first, equal ones by id.
  // Where several are equal at place k it is not said which of them are returned. NaN is never found.
  // ShapeError, ConfigError: k < 1, a stale selection.
  void search(std::span<const float> queries, int64_t k, const Filter& filter, std::span<Found> out) const;

  // One file, written aside and renamed. IoError.
  virtual void save(const std::string& path) const = 0;
  // Facts for people: "vectors", "width", ...
  virtual std::map<std::string, std::string> facts() const = 0;

 protected:
  VectorIndex(int64_t width, Similarity similarity);

  // A slot is a place for a vector. A derived class keeps the vectors, decides on slots and tells whose they are.
  struct Query {
    std::span<const float> vectors;  // [count, width], finite
    int64_t count, k;
    const uint64_t* may;  // a bit for each slot that may be found
    int64_t may_count;
    const Filter& filter;
  };
  virtual void insert(std::span<const int64_t> ids, std::span<const float> vectors) = 0;  // of length 1 for Cosine
  virtual void erased(std::span<const int32_t> slots) = 0;                                // no longer live
  virtual void settle() {}                                                                // after a whole change
  // Fills out; scores are products with the vectors as they are kept, k places a query.
  virtual void find(const Query& query, std::span<Found> out) const = 0;

  // The ids by slot, -1 where there is none, and back. IoError as IndexFile.
  Tensor ids_tensor() const;
  void load_ids(const IndexFile& file, int64_t slots);
  static void check_vectors(const IndexFile& file, const float* x, int64_t n);  // all finite

  int64_t slots() const { return static_cast<int64_t>(id_of_.size()); }
  void set_slots(int64_t count);  // new ones have no id
  void bind(int32_t slot, int64_t id);
  void move_id(int32_t from, int32_t to);
  int64_t id_of(int32_t slot) const { return id_of_[static_cast<size_t>(slot)]; }
  bool is_live(int32_t slot) const { return (live_[static_cast<size_t>(slot) / 64] >> (slot % 64) & 1) != 0; }

 private:
  int64_t width_;
  Similarity similarity_;
  std::vector<int64_t> id_of_;  // by slot
  std::vector<uint64_t> live_;  // a bit a slot
  std::unordered_map<int64_t, int32_t> slot_of_;
  uint64_t version_ = 1;
};

// Reads what save() wrote; the vectors stay in the file, mapped. IoError: absent, damaged, or not such a file: every
// count, place and id is checked before use, and all checksums.
std::unique_ptr<VectorIndex> open_index(const std::string& path);

}  // namespace winnow
