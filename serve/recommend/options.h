// The `recommend:` section of a config (docs/recommend.md has every key and its default).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"
#include "serve/recommend/co_occurrence.h"
#include "serve/recommend/rules.h"

namespace winnow {

struct SourceOptions {
  std::string type;  // co_occurrence, embedding, text, popular, popular_in, new
  int64_t limit = 100;
  bool required = true;  // false: left out where the model or the data lack what it needs
  CoOccurrenceOptions co_occurrence;
  HistoryWeights history;      // co_occurrence, embedding, text
  double half_life_days = 0;   // popular, popular_in
  std::string feature;         // popular_in; "": category_feature()
  double days = 30;            // new
  std::string index = "auto";  // embedding, text
};

struct DiversityOptions {
  enum Method : uint8_t { None, Mmr, Dpp } method = None;
  double weight = 0.3;
  std::string by;       // a feature of the items, embedding or text; "": category_feature()
  int64_t among = 100;  // the best so many are reordered
};

struct RecommendOptions {
  int64_t candidates = 500;            // ranked in a request
  double blend = 0;                    // weight of what the sources agree on, beside the ranker's logit
  std::vector<SourceOptions> sources;  // in this order
  DiversityOptions diversity;
  std::vector<ValueFilter> exclude;  // items that pass any of these are never named
  std::vector<BoostRule> boosts;
  std::vector<CategoryLimit> limits;
  std::vector<PinnedItem> pinned;
  NewShare new_share;
  double new_days = 30;
};

// Without `sources` all of them, with these limits: co_occurrence 200, embedding 100, text 100, popular 500 (what
// fills the candidates up), popular_in 50, new 20; those that the data cannot feed are left out. ConfigError.
RecommendOptions read_recommend_options(const ConfigNode& recommend);
RecommendOptions default_recommend_options();
// {genres: [Comedy, Drama]}: a filter for each key; `exclude` as in ValueFilter.
std::vector<ValueFilter> read_filters(const ConfigNode& where, bool exclude);

// The feature that people would call the category: the multi-valued one with the fewest values, else the categorical
// one, of those with 3 to 1,000; "": there is none.
std::string category_feature(const FeatureMap& map);

}  // namespace winnow
