// EmbeddingTable: the tables of several features with ids, stacked in one tensor a width and looked up in one call
// each.
#pragma once
#include <vector>

#include "nn/layers.h"
#include "nn/row_cache.h"
#include "ops/embedding_bag.h"

namespace winnow {

struct EmbeddingOptions {
  int64_t dim = 16;
  Init init = Init::normal(1e-4);
  DType dtype = DType::F32;  // or BF16 rows
  // The rows lie in host memory, behind caches of these (nn/row_cache.h); null: where the graph's program runs.
  std::shared_ptr<RowCaches> caches = nullptr;
};

struct EmbeddingField {
  int64_t rows = 0;  // 0: not looked up, its output is zero
  Pooling pooling = Pooling::Sum;
  int64_t dim = 0;  // of its rows; 0: EmbeddingOptions::dim
  int shares = -1;  // the field whose rows these are; -1: its own
};

// Field f owns rows [row_base, row_base + rows) of a stack; fields that share have the same ones, and an update of a
// row is that of the summed gradient of all its uses. Id 0 is PAD: it adds nothing and never trains. One width, the
// usual case: the parameter "weight" [rows, dim]. Fields of another width d have a stack "weight_d" and a projection
// without bias, "project_d" (mixed dimension embeddings, Ginart et al. 2021, section 3):
//   out[b, f, :] = pool(ids) weight_d[..] project_d
// Fields pooled by max train densely, every row at every step, in a stack "weight_max[_d]" of f32: the gradient of a
// maximum is no list of rows.
// ConfigError: fields that share but differ in rows or dim; fields pooled by max, or rows that are not f32, with
// caches.
class EmbeddingTable final : public Module {
 public:
  EmbeddingTable(const std::vector<EmbeddingField>& fields, const EmbeddingOptions& options);
  // ids i64 [B, F], or [capacity] with offsets [B * F + 1] -> [B, F, dim]
  Value operator()(Value ids, Value offsets, Loc loc = Loc::current()) const;
  int64_t dim() const { return dim_; }

 protected:
  void initialized() override;

 private:
  struct Stack {
    BagFeatures features;
    Parameter* weight;
    Linear* projection;  // null: rows are dim wide
  };
  struct Kind {
    int64_t dim;
    bool max;
    bool operator==(const Kind&) const = default;
  };
  void add_stack(const Kind& kind, const std::vector<EmbeddingField>& fields, const std::vector<Kind>& kinds,
                 const EmbeddingOptions& options);

  int64_t dim_;
  std::vector<Stack> stacks_;
};

}  // namespace winnow
