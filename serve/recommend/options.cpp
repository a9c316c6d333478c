#include "serve/recommend/options.h"

namespace winnow {
namespace {

const std::vector<std::string> kTypes = {"co_occurrence", "embedding", "text", "popular", "popular_in", "new"};

int64_t default_limit(const std::string& type) {
  return type == "co_occurrence" ? 200 : type == "popular" ? 500 : type == "popular_in" ? 50 : type == "new" ? 20 : 100;
}

void read_co_occurrence(const ConfigNode& node, CoOccurrenceOptions& o) {
  const std::string weight = node.choice("weight", "conditional", {"cosine", "conditional", "lift"});
  o.weight = weight == "cosine"        ? CoOccurrenceOptions::Cosine
             : weight == "conditional" ? CoOccurrenceOptions::Conditional
                                       : CoOccurrenceOptions::Lift;
  if (o.weight == CoOccurrenceOptions::Conditional) o.alpha = node.get("alpha", o.alpha, between(0, 1));
  o.inverse_user_frequency = node.get("inverse_user_frequency", o.inverse_user_frequency);
  o.shrinkage = node.get("shrinkage", o.shrinkage, at_least(0));
  o.pair_half_life_days = node.get("pair_half_life_days", o.pair_half_life_days, at_least(0));
  o.neighbours = node.get("neighbours", o.neighbours, between(1, 100000));
  o.most_history = node.get("most_history", o.most_history, between(2, 1000000));
}

SourceOptions read_source(const ConfigNode& node) {
  SourceOptions o;
  o.type = node.require_choice("type", kTypes);
  o.limit = node.get("limit", default_limit(o.type), between(1, 100000));
  const bool by_history = o.type == "co_occurrence" || o.type == "embedding" || o.type == "text";
  if (by_history) {
    const ConfigNode history = node.child("history");
    o.history.most = history.get("most", o.history.most, between(1, 10000));
    o.history.half_life_days = history.get("half_life_days", o.history.half_life_days, at_least(0));
  }
  if (o.type == "co_occurrence") read_co_occurrence(node, o.co_occurrence);
  if (o.type == "embedding" || o.type == "text") o.index = node.choice("index", "auto", {"auto", "exact", "hnsw"});
  if (o.type.starts_with("popular")) o.half_life_days = node.get("half_life_days", o.half_life_days, at_least(0));
  if (o.type == "popular_in") o.feature = node.get("feature", o.feature);
  if (o.type == "new") o.days = node.get("days", o.days, at_least(0));
  return o;
}

DiversityOptions read_diversity(const ConfigNode& node) {
  DiversityOptions o;
  const std::string method = node.choice("method", "none", {"none", "mmr", "dpp"});
  o.method = method == "none"  ? DiversityOptions::None
             : method == "mmr" ? DiversityOptions::Mmr
                               : DiversityOptions::Dpp;
  if (o.method == DiversityOptions::None) return o;
  o.weight = node.get("weight", o.weight, between(0, 1));
  if (o.method == DiversityOptions::Dpp && o.weight == 0) node.fail("weight", "dpp needs one above 0");
  o.by = node.get("by", o.by);
  o.among = node.get("among", o.among, between(2, 10000));
  return o;
}

void read_rules(const ConfigNode& node, RecommendOptions& o) {
  for (const ConfigNode& rule : node.list("boosts")) {
    BoostRule boost;
    boost.where = read_filters(rule.child("where"), false);
    for (auto& filter : read_filters(rule.child("where_not"), true)) boost.where.push_back(std::move(filter));
    if (boost.where.empty()) rule.fail("needs where or where_not");
    boost.by = rule.require<double>("by", between(-100, 100));
    o.boosts.push_back(std::move(boost));
  }
  for (const ConfigNode& rule : node.list("limits"))
    o.limits.push_back({rule.require<std::string>("feature"), rule.get<int64_t>("most", 3, at_least(1)),
                        rule.get<int64_t>("first", 10, at_least(1))});
  for (const ConfigNode& rule : node.list("pinned"))
    o.pinned.push_back({rule.require<std::string>("item"), rule.get<int64_t>("position", 1, at_least(1))});
  if (!node.has("new_share")) return;
  const ConfigNode share = node.child("new_share");
  o.new_share.share = share.require<double>("share", between(0, 1));
  o.new_share.first = share.get("first", o.new_share.first, at_least(1));
  o.new_days = share.get("days", o.new_days, at_least(0));
}

}  // namespace

std::vector<ValueFilter> read_filters(const ConfigNode& where, bool exclude) {
  std::vector<ValueFilter> filters;
  for (const auto& [feature, value] : where.entries()) {
    ValueFilter filter{feature, {}, exclude};
    if (value.is_list())
      filter.values = value.as<std::vector<std::string>>();
    else
      filter.values.push_back(value.as<std::string>());
    if (filter.values.empty()) value.fail("names no value");
    filters.push_back(std::move(filter));
  }
  return filters;
}

RecommendOptions default_recommend_options() {
  RecommendOptions o;
  for (const std::string& type : kTypes) {
    SourceOptions source;
    source.type = type;
    source.limit = default_limit(type);
    source.required = false;
    o.sources.push_back(std::move(source));
  }
  return o;
}

RecommendOptions read_recommend_options(const ConfigNode& node) {
  RecommendOptions o = default_recommend_options();
  o.candidates = node.get("candidates", o.candidates, between(1, 100000));
  o.blend = node.get("blend", o.blend, between(0, 100));
  if (node.has("sources")) {
    o.sources.clear();
    for (const ConfigNode& source : node.list("sources")) o.sources.push_back(read_source(source));
    if (o.sources.empty()) node.fail("sources", "at least one is needed");
  }
  o.diversity = read_diversity(node.child("diversity"));
  o.exclude = read_filters(node.child("exclude"), false);
  read_rules(node.child("rules"), o);
  return o;
}

std::string category_feature(const FeatureMap& map) {
  std::string name;
  int64_t fewest = 0;
  bool multi = false;
  for (const FittedFeature& f : map.features) {
    const int64_t values = f.vocabulary.size();
    const bool is_multi = f.spec.type == FeatureType::Multi;
    if (side_of(f) != FeatureSide::Item || !has_vocabulary(f.spec) || f.spec.column == map.item_id || values < 3 ||
        values > 1000 || (!is_multi && f.spec.type != FeatureType::Categorical))
      continue;
    if (!name.empty() && (is_multi != multi ? multi : values >= fewest)) continue;
    name = f.spec.name;
    fewest = values;
    multi = is_multi;
  }
  return name;
}

}  // namespace winnow
