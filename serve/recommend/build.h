// A recommender of a run: every source that its options name, from what the run and an encoder offer.
#pragma once
#include <memory>
#include <mutex>

#include "serve/click_predictor.h"
#include "serve/recommend/item_vectors.h"
#include "serve/recommend/recommender.h"

namespace winnow {

// What is built once and shared with search (serve/recommend/search.h).
struct ItemKnowledge {
  std::shared_ptr<const ItemValues> values;
  std::shared_ptr<const ItemVectors> embedding, text;  // null: the model has none; no encoder or no titles
};
// saved, encoder: may be null. index: of the sources of these types (SourceOptions::index).
ItemKnowledge know_items(const RecommendOptions& options, const Catalogue& catalogue, const FeatureMap& map,
                         const SavedClickModel* saved, const TextEncoder* encoder);

// map: the catalogue's. `catalogue` outlives the recommender. more: sources of the caller's own, behind those of the
// options. ConfigError: a source that is asked for and cannot be built, with what it needs.
std::unique_ptr<Recommender> make_recommender(RecommendOptions options, const Catalogue& catalogue,
                                              const FeatureMap& map, const ItemKnowledge& items, RankItems rank,
                                              std::vector<Recommender::Slot> more = {});

// The ranker without a batching server: one request at a time, the others wait.
class CatalogueRanker {
 public:
  CatalogueRanker(const Catalogue& catalogue, ClickPredictor& predictor)
      : catalogue_(catalogue), predictor_(predictor) {}
  void operator()(const EncodedSide& user, std::span<const int64_t> items, std::span<float> logits);

 private:
  const Catalogue& catalogue_;
  ClickPredictor& predictor_;
  std::mutex mutex_;
  std::vector<EncodedRow> rows_;
};

}  // namespace winnow
