// Exact search, for where no approximation is worth it: up to a million vectors, many queries at once, or filters that
// leave little.
//
// From kCodedFrom vectors on, bytes beside the vectors tell which of them need be looked at (core/cpu/row_codes.h):
// what is found is the same, bit for bit. The bytes are made at add() and at opening, never read from a file: the proof
// rests on the vectors alone.
#pragma once
#include "serve/retrieval/column.h"
#include "serve/retrieval/index.h"

namespace winnow {

class IndexFile;
namespace cpu {
class RowCodes;
}

// Memory: 4 width bytes a vector, and width + 4 of codes. Removed vectors are passed over; their places are closed up
// once they are a quarter.
class ExactIndex final : public VectorIndex {
 public:
  static constexpr int64_t kCodedFrom = 1024;
  ExactIndex(int64_t width, Similarity similarity);
  ~ExactIndex() override;
  std::string_view type() const override { return "exact"; }
  void save(const std::string& path) const override;
  std::map<std::string, std::string> facts() const override;

  static std::unique_ptr<VectorIndex> open(const IndexFile& file, int64_t width, Similarity similarity);

 protected:
  void insert(std::span<const int64_t> ids, std::span<const float> vectors) override;
  void erased(std::span<const int32_t> slots) override;
  void find(const Query& query, std::span<Found> out) const override;

 private:
  void encode(int64_t first);  // the vectors from there on are others than before
  Column<float> vectors_;
  std::unique_ptr<cpu::RowCodes> codes_;  // of all vectors; null: of none
};

}  // namespace winnow
