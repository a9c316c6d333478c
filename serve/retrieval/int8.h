// Search over vectors of bytes, and the best of it again over the vectors as they were: a quarter of the memory
// traffic.
//
//   code[r][i] = round(x[r][i] / scale[r]),  scale[r] = max_i |x[r][i]| / 127;  a query likewise
//   found(q) = the best k by q . x[r] among the rescore * k best by scale[r] (code(q) . code[r])
//
// Scores are those of exact search; a vector is missed when its coarse rank is beyond rescore * k (docs/retrieval.md
// has measured recall). Byte products are exact integers on every instruction set. One query at a time reads every
// code; many read each block of codes once.
#pragma once
#include "serve/retrieval/exact.h"

namespace winnow {

class Int8Index final : public ExactIndex {
 public:
  static constexpr int64_t kRescore = 4;
  Int8Index(int64_t width, Similarity similarity);
  std::string_view type() const override { return "int8"; }
  void set_rescore(int64_t times);  // ConfigError unless 1..1000
  void save(const std::string& path) const override;
  std::map<std::string, std::string> facts() const override;
  static std::unique_ptr<VectorIndex> open(const IndexFile& file, int64_t width, Similarity similarity);

 protected:
  void find(const Query& query, std::span<Found> out) const override;
  void appended(int64_t first) override;
  void moved(int64_t from, int64_t to) override;
  void shortened(int64_t rows) override;

 private:
  Column<int8_t> codes_;
  Column<float> scales_;
  int64_t rescore_ = kRescore;
};

}  // namespace winnow
