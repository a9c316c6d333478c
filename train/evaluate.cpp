#include "train/evaluate.h"

#include <algorithm>

#include "core/file.h"
#include "data/row_facts.h"
#include "train/baselines.h"
#include "train/delong.h"
#include "train/row_cells.h"
#include "train/run.h"

namespace winnow {
namespace {

// The training positives of each item.
ItemPopularity popularity_of(const Dataset& dataset) {
  ItemPopularity popularity(static_cast<int64_t>(dataset.item_keys.size()));
  for_each_facts(dataset, Split::Train, [&](const RowFacts& f) {
    const std::vector<int64_t> items(f.item.begin(), f.item.end()), users(f.user.begin(), f.user.end());
    popularity.add({items, f.label, f.weight, users});
  });
  return popularity;
}

// The values of an item feature, from the first row that an item has in any split; none for missing and unseen values.
struct ItemCategories {
  std::vector<int64_t> offsets, items;
};

ItemCategories categories_of(const Dataset& dataset, const std::string& name) {
  const size_t feature = dataset.map.feature(name);
  const int64_t oov = dataset.map.features[feature].oov();
  const int64_t field = cell_range(dataset.map, feature).field;
  std::vector<std::vector<int64_t>> sets(dataset.item_keys.size());
  std::vector<uint8_t> known(sets.size());
  for (const Split split : {Split::Train, Split::Valid, Split::Test}) {
    const auto source = make_row_source(dataset, split, false);
    std::vector<int32_t> item_of;
    for_each_facts(dataset, split,
                   [&](const RowFacts& f) { item_of.insert(item_of.end(), f.item.begin(), f.item.end()); });
    size_t row = 0;
    visit_cells(dataset.map, *source, source->rows(), [&](const RowCells& cells) {
      for (int64_t r = 0; r < cells.rows; ++r) {
        const auto item = static_cast<size_t>(item_of[row++]);
        if (known[item] != 0) continue;
        known[item] = 1;
        for (const int64_t id : cells.bag(r, field))
          if (id != Vocabulary::kPad && id != oov) sets[item].push_back(id);
      }
    });
  }
  ItemCategories out;
  out.offsets.push_back(0);
  for (const auto& set : sets) {
    out.items.insert(out.items.end(), set.begin(), set.end());
    out.offsets.push_back(static_cast<int64_t>(out.items.size()));
  }
  return out;
}

void rank(const CtrConfig& config, const Dataset& dataset, const CtrModel& model, const ItemPopularity& popularity,
          EvaluationReport& report) {
  const EvaluationOptions& e = config.evaluation;
  RankingOptions options;
  options.ks.assign(e.ks.begin(), e.ks.end());
  options.bootstrap.resamples = static_cast<int>(e.resamples);
  options.bootstrap.seed = options.sampling_seed = e.seed;
  options.sampled_negatives = static_cast<int>(e.sampled_negatives);
  report.sampled_negatives = e.sampled_negatives;
  const std::vector<float> counts = popularity.click_counts();
  const std::vector<double> item_counts(counts.begin(), counts.end());
  const ItemCategories categories = e.diversity.empty() ? ItemCategories{} : categories_of(dataset, e.diversity);
  const ItemFacts facts{item_counts, {categories.offsets, categories.items}};
  const CandidateScorer scorer(dataset, model, inference_batch(config), config.loop.train.compile);
  report.ranking = rank_catalogue(dataset, scorer, options, facts);
  report.baselines.push_back({"popularity", {}, rank_by_popularity(dataset, counts, options, facts)});
}

void add_delong(EvaluationReport& report) {
  const MetricRows rows = report.predictions.rows();
  const std::span<const float> scores[] = {rows.predictions};
  const DeLong d = delong(scores, rows.labels, rows.weights);
  report.no_delong = d.reason;
  if (d.defined()) report.auc_delong = delong_interval(d.auc[0], d.variance(0));
}

}  // namespace

EvaluationReport evaluate_run(const CtrConfig& config, const Dataset& dataset, CtrModel& model, const std::string& name,
                              Split split) {
  const EvaluationOptions& e = config.evaluation;
  EvaluationReport report;
  report.model = name;
  report.split = split;
  SplitColumns columns = split_columns(dataset, split);
  report.rows = static_cast<int64_t>(columns.labels.size());
  BinaryEvaluation binary;
  binary.bootstrap.resamples = static_cast<int>(e.resamples);
  binary.bootstrap.seed = e.seed;
  CtrTask task(dataset, model, inference_batch(config), 0, config.loop.train.compile);
  report.predictions = {task.predict(split),
                        std::move(columns.labels),
                        std::move(columns.weights),
                        std::move(columns.users),
                        std::move(columns.items),
                        name_of(split),
                        name,
                        fingerprint_of(dataset, split)};
  const Predictions& p = report.predictions;
  report.metrics = evaluate_binary(p.rows(), binary);
  add_delong(report);
  report.curves = curves_of(p.rows());
  report.slices = evaluate_slices(dataset, split, p.logits, e.slices, {e.slice_min_rows, binary});
  if (e.importance_rows > 0)
    report.importance = permutation_importance(dataset, split, model, config.loop.train.compile,
                                               {.rows = e.importance_rows,
                                                .seed = e.seed,
                                                .bootstrap = {.resamples = e.resamples > 0 ? 200 : 0, .seed = e.seed},
                                                .batch_size = inference_batch(config)});
  const ItemPopularity popularity = popularity_of(dataset);
  for (BaselineResult& b : evaluate_baselines(popularity, {p.items, p.labels, p.weights, p.users}, binary))
    report.baselines.push_back({b.name, std::move(b.metrics), std::nullopt});
  if (e.ranking && split == Split::Test) rank(config, dataset, model, popularity, report);
  return report;
}

void save_evaluation(const std::string& directory, const EvaluationReport& report) {
  write_atomically(directory + "/evaluation.json", report.json() + "\n");
  save_predictions(directory + "/predictions.safetensors", report.predictions);
}

}  // namespace winnow
