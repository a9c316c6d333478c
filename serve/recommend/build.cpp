#include "serve/recommend/build.h"

#include <algorithm>

namespace winnow {
namespace {

std::string index_of(const RecommendOptions& options, std::string_view type) {
  for (const SourceOptions& source : options.sources)
    if (source.type == type) return source.index;
  return "auto";
}

// What the sources of one recommender share.
class SourceBuilder {
 public:
  SourceBuilder(const Catalogue& catalogue, const FeatureMap& map, const ItemKnowledge& items)
      : catalogue_(catalogue), map_(map), items_(items), liked_(liked(catalogue)) {}

  // Null, with `lacking` saying why: the run does not offer what the source needs.
  std::unique_ptr<CandidateSource> operator()(const SourceOptions& o, std::string& lacking) const {
    if (o.type == "co_occurrence")
      return std::make_unique<CoOccurrenceSource>(std::make_shared<ItemNeighbours>(liked_, o.co_occurrence), o.history);
    if (o.type == "popular") return std::make_unique<PopularSource>(popularity(liked_, o.half_life_days));
    if (o.type == "new") return std::make_unique<NewSource>(first_times(catalogue_), o.days);
    if (o.type == "popular_in") {
      const std::string feature = o.feature.empty() ? category_feature(map_) : o.feature;
      lacking = "a feature of the items with some values: name it by `feature`";
      if (feature.empty()) return nullptr;
      return std::make_unique<PopularInSource>(popularity(liked_, o.half_life_days), *items_.values,
                                               items_.values->feature(feature));
    }
    const auto& vectors = o.type == "embedding" ? items_.embedding : items_.text;
    lacking = o.type == "embedding" ? "a model with embeddings of the items" : "an encoder, and titles in the data";
    if (vectors == nullptr) return nullptr;
    return std::make_unique<VectorSource>(o.type, o.type == "embedding" ? "matches your taste for" : "reads like",
                                          vectors, o.history);
  }

 private:
  const Catalogue& catalogue_;
  const FeatureMap& map_;
  const ItemKnowledge& items_;
  Interactions liked_;
};

}  // namespace

ItemKnowledge know_items(const RecommendOptions& options, const Catalogue& catalogue, const FeatureMap& map,
                         const SavedClickModel* saved, const TextEncoder* encoder) {
  ItemKnowledge items;
  items.values = std::make_shared<ItemValues>(catalogue, map);
  const auto vectors = [&](const Tensor& x, std::string_view type) -> std::shared_ptr<const ItemVectors> {
    if (!x.defined()) return nullptr;
    return std::make_shared<ItemVectors>(x, index_of(options, type));
  };
  if (saved != nullptr) items.embedding = vectors(item_embeddings(*saved, catalogue), "embedding");
  if (encoder != nullptr) items.text = vectors(title_vectors(catalogue, *encoder), "text");
  return items;
}

std::unique_ptr<Recommender> make_recommender(RecommendOptions options, const Catalogue& catalogue,
                                              const FeatureMap& map, const ItemKnowledge& items, RankItems rank,
                                              std::vector<Recommender::Slot> more) {
  Recommender::Parts parts;
  parts.catalogue = &catalogue;
  parts.values = items.values;
  const SourceBuilder build(catalogue, map, items);
  for (const SourceOptions& source : options.sources) {
    std::string lacking;
    auto built = build(source, lacking);
    WN_CHECK(built != nullptr || !source.required, ConfigError, "recommend.sources: {} needs {}", source.type, lacking);
    if (built != nullptr) parts.sources.push_back({std::move(built), source.limit});
  }
  for (Recommender::Slot& slot : more) parts.sources.push_back(std::move(slot));
  parts.rank = std::move(rank);
  parts.fresh = std::make_shared<NewSource>(first_times(catalogue), options.new_days);
  DiversityOptions& d = options.diversity;
  if (d.method != DiversityOptions::None) {
    if (d.by.empty()) d.by = category_feature(map);
    WN_CHECK(!d.by.empty(), ConfigError, "recommend.diversity: items have no category; set `by`");
    if (d.by == "embedding" || d.by == "text") {
      parts.diversity = d.by == "embedding" ? items.embedding : items.text;
      WN_CHECK(parts.diversity != nullptr, ConfigError, "recommend.diversity: there are no vectors of kind {}", d.by);
    }
  }
  return std::make_unique<Recommender>(std::move(options), std::move(parts));
}

void CatalogueRanker::operator()(const EncodedSide& user, std::span<const int64_t> items, std::span<float> logits) {
  const std::scoped_lock lock(mutex_);
  if (rows_.size() < items.size()) rows_.resize(items.size());
  for (size_t i = 0; i < items.size(); ++i)
    join_sides(predictor_.features(), user, catalogue_.side(FeatureSide::Item, items[i]), rows_[i]);
  predictor_.logits(std::span(rows_).first(items.size()), logits);
}

}  // namespace winnow
