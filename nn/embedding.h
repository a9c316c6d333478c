// EmbeddingTable: the tables of several categorical features, stacked in one tensor and looked up in one call.
#pragma once
#include <vector>

#include "nn/module.h"
#include "ops/embedding_bag.h"

namespace winnow {

struct EmbeddingOptions {
  int64_t dim = 16;
  Init init = Init::normal(1e-4);
  DType dtype = DType::F32;  // or BF16 rows
};

// Feature f owns rows [row_base(f), row_base(f) + rows[f]) of `weight`. Id 0 is PAD: it adds nothing and never trains.
// A feature with 0 rows is not looked up: its output is zero.
class EmbeddingTable final : public Module {
 public:
  EmbeddingTable(std::vector<int64_t> rows, std::vector<Pooling> pooling, const EmbeddingOptions& options);
  // ids i64 [B, F], or [capacity] with offsets [B * F + 1] -> [B, F, dim]
  Value operator()(Value ids, Value offsets, Loc loc = Loc::current()) const;
  const BagFeatures& features() const { return features_; }
  int64_t dim() const { return dim_; }

 private:
  BagFeatures features_;
  int64_t dim_;
  Parameter* weight_;
};

}  // namespace winnow
