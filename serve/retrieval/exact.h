// Exact search: every vector is looked at (core/cpu/topk.h). What no approximation is worth at: up to some hundred
// thousand vectors, many queries at once, or filters that leave little.
#pragma once
#include "serve/retrieval/column.h"
#include "serve/retrieval/index.h"

namespace winnow {

class IndexFile;

// Memory: 4 width bytes a vector. Removed vectors are passed over; their places are closed up once they are a quarter.
class ExactIndex : public VectorIndex {
 public:
  ExactIndex(int64_t width, Similarity similarity);
  std::string_view type() const override { return "exact"; }
  void save(const std::string& path) const override;
  std::map<std::string, std::string> facts() const override;

  static std::unique_ptr<VectorIndex> open(const IndexFile& file, int64_t width, Similarity similarity);

 protected:
  void insert(std::span<const int64_t> ids, std::span<const float> vectors) override;
  void erased(std::span<const int32_t> slots) override;
  void find(const Query& query, std::span<Found> out) const override;
  // Of derived classes: vectors at [first, rows) are new; row `from` moved to `to`; rows are now so many.
  virtual void appended(int64_t first) { static_cast<void>(first); }
  virtual void moved(int64_t from, int64_t to) { static_cast<void>(from), static_cast<void>(to); }
  virtual void shortened(int64_t rows) { static_cast<void>(rows); }
  void load(const IndexFile& file);

  Column<float> vectors_;
};

}  // namespace winnow
