#include "nn/embedding.h"

namespace winnow {

EmbeddingTable::EmbeddingTable(std::vector<int64_t> rows, std::vector<Pooling> pooling, const EmbeddingOptions& options)
    : dim_(options.dim) {
  int64_t total = 0;
  for (const int64_t n : rows) {
    features_.row_base.push_back(total);
    total += n;
  }
  features_.rows = std::move(rows);
  features_.pooling = std::move(pooling);
  features_.padding_id = 0;
  weight_ = &parameter("weight", {total, dim_}, Group::Table, options.init, options.dtype);
}

Value EmbeddingTable::operator()(Value ids, Value offsets, Loc loc) const {
  return embedding_bag(ids.graph->persistent(weight_->variable), ids, features_, {offsets, {}}, loc);
}

}  // namespace winnow
