// The section `evaluation` of a config.
#include <algorithm>

#include "core/text.h"
#include "train/evaluate.h"

namespace winnow {
namespace {

std::string read_diversity(const ConfigNode& n, const Schema& schema) {
  const auto of_items = [](const FeatureSpec& f) { return f.source == FeatureSource::Item && has_ids(f); };
  const auto first = std::ranges::find_if(
      schema.features, [&](const FeatureSpec& f) { return of_items(f) && f.type == FeatureType::Multi; });
  const std::string name = n.get("diversity", first == schema.features.end() ? "none" : first->name);
  if (name == "none") return "";
  std::vector<std::string> able;
  for (const FeatureSpec& f : schema.features)
    if (of_items(f)) able.push_back(f.name);
  if (std::ranges::find(able, name) == able.end())
    n.fail("diversity", fmt::format("'{}' is no item feature with ids{}; use none or one of: {}", name,
                                    did_you_mean(name, able), fmt::join(able, ", ")));
  return name;
}

}  // namespace

EvaluationOptions read_evaluation_options(const ConfigNode& n, const Schema& schema) {
  EvaluationOptions o;
  o.ks = n.get("ks", o.ks, between(1, 10000));
  o.ranking = n.get("ranking", o.ranking);
  o.baselines = n.get("baselines", o.baselines);
  for (const std::string& name : o.baselines)
    if (std::ranges::find(ctr_model_names(), name) == ctr_model_names().end())
      n.fail("baselines", fmt::format("there is no model '{}'{} (known: {})", name,
                                      did_you_mean(name, ctr_model_names()), fmt::join(ctr_model_names(), ", ")));
  o.resamples = n.get("resamples", o.resamples, between(0, 100000));
  o.seed = n.get("seed", o.seed);
  o.slices = read_slices(n, schema);
  o.slice_min_rows = n.get("slice_min_rows", o.slice_min_rows, at_least(1));
  o.importance_rows = n.get("importance_rows", o.importance_rows, at_least(0));
  o.diversity = read_diversity(n, schema);
  o.sampled_negatives = n.get("sampled_negatives", o.sampled_negatives, between(0, 10000));
  if (o.sampled_negatives > 0 && !o.ranking)
    n.fail("sampled_negatives", "is computed from the scores of the full catalogue: set evaluation.ranking to true");
  return o;
}

}  // namespace winnow
