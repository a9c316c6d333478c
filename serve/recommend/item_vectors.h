// Items as vectors: nearest to what the user took, to a query, to another item.
#pragma once
#include <memory>
#include <string>

#include "models/saved_click_model.h"
#include "models/text_vectors.h"
#include "serve/recommend/co_occurrence.h"
#include "serve/retrieval/index.h"

namespace winnow {

// A vector of length 1 for each item (0 where the item has none) and an index of those that have one.
class ItemVectors {
 public:
  // vectors [items, width]: scaled here. type: exact or hnsw (docs/retrieval.md); auto is exact up to 200,000
  // items, hnsw beyond. DataError: a number that is not finite; ConfigError: another type.
  ItemVectors(Tensor vectors, const std::string& type = "auto");
  int64_t items() const { return vectors_.shape()[0]; }
  int64_t width() const { return vectors_.shape()[1]; }
  std::span<const float> of(int64_t item) const {
    return vectors_.span<float>().subspan(static_cast<size_t>(item * width()), static_cast<size_t>(width()));
  }
  double cosine(int64_t a, int64_t b) const;
  const VectorIndex& index() const { return *index_; }
  // The nearest items of `may` to a vector of any length, best first; appended.
  void nearest(std::span<const float> query, int64_t limit, const ItemSet& may, std::vector<Found>& out) const;

 private:
  Tensor vectors_;
  std::unique_ptr<VectorIndex> index_;
};

// What a click model learned of the items: the embeddings of their features with ids (the item's id, genres, brand)
// side by side, [items, features x embedding_dim]; items unseen in training have those of their other features. An
// undefined tensor: a model without such embeddings (LR), or data without item features.
Tensor item_embeddings(const SavedClickModel& saved, const Catalogue& catalogue);

// The items' titles by an encoder, [items, width]; zeros where an item has none. An undefined tensor: data without
// titles.
Tensor title_vectors(const Catalogue& catalogue, const TextEncoder& encoder);

// The items nearest to q = sum over the history's items i of weight_i v_i; the reason is the item i with the largest
// weight_i cos(v_i, v).
class VectorSource final : public CandidateSource {
 public:
  // name: "embedding", "text"; reason: "similar to", for people. Views of `reason` are handed out.
  VectorSource(std::string name, std::string reason, std::shared_ptr<const ItemVectors> vectors,
               HistoryWeights history);
  std::string_view name() const override { return name_; }
  void candidates(const CandidateRequest& request, int64_t limit, std::vector<Candidate>& out) const override;
  const ItemVectors& vectors() const { return *vectors_; }

 private:
  std::string name_, reason_;
  std::shared_ptr<const ItemVectors> vectors_;
  HistoryWeights history_;
};

}  // namespace winnow
