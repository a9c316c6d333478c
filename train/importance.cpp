#include "train/importance.h"

#include <algorithm>
#include <numeric>

#include "core/rng.h"
#include "train/detail/resampled_rows.h"
#include "train/row_cells.h"

namespace winnow {
namespace {

constexpr uint64_t kPermutation = uint64_t{0x7065726d} << 32;  // "perm": apart from the streams of other draws

std::vector<uint32_t> permutation_of(int64_t rows, uint64_t seed, size_t feature) {
  std::vector<uint32_t> order(static_cast<size_t>(rows));
  std::iota(order.begin(), order.end(), 0u);
  Rng rng(seed, kPermutation | feature);
  rng.shuffle(order);
  return order;
}

// AUC of the unchanged rows and of each permuted feature, over the rows themselves and over resamples.
struct Aucs {
  std::vector<double> values;   // [1 + features]
  std::vector<double> samples;  // [resamples, 1 + features]
};

Aucs aucs_of(const std::vector<detail::ResampledRows>& scored, const BootstrapOptions& options) {
  const auto compute = [&](std::span<const uint32_t> counts, std::span<double> values) {
    for (size_t s = 0; s < scored.size(); ++s) {
      double statistics[detail::kStatistics];
      scored[s](counts, statistics);
      values[s] = statistics[detail::kAuc];
    }
  };
  Aucs out;
  out.values.resize(scored.size());
  const std::vector<uint32_t> ones(static_cast<size_t>(scored[0].size()), 1);
  compute(ones, out.values);
  out.samples = bootstrap_samples(scored[0].size(), static_cast<int>(scored.size()), compute, options);
  return out;
}

Interval interval_of(const Aucs& aucs, size_t permuted, double confidence) {
  std::vector<double> drops;
  for (size_t r = 0; r < aucs.samples.size(); r += aucs.values.size())
    drops.push_back(aucs.samples[r] - aucs.samples[r + permuted]);
  return percentile_interval(std::move(drops), confidence);
}

}  // namespace

Importance permutation_importance(const Dataset& dataset, Split split, const CtrModel& model,
                                  const CompileOptions& compile, const ImportanceOptions& options) {
  const auto source = make_row_source(dataset, split, true, options.seed);
  const RowCells cells = read_cells(dataset.map, *source, options.rows);
  Importance out;
  out.rows = cells.rows;
  const auto positive = std::ranges::count_if(cells.labels, [](float y) { return y > 0.5f; });
  if (positive == 0 || positive == cells.rows) {
    out.reason = fmt::format("needs both classes, {} rows have one", cells.rows);
    return out;
  }
  CtrPredictor predictor(model, source->spec(options.batch_size), compile);
  std::vector<detail::ResampledRows> scored;
  const auto score = [&](const CellRange& moved, std::span<const uint32_t> permutation) {
    BatchSource batches(make_cells_source(cells, *source, moved, permutation), {options.batch_size});
    const std::vector<float> logits = predictor.logits(batches);
    check_rows("importance", {logits, cells.labels, cells.weights}, 0, LabelRange::Binary);
    scored.emplace_back(MetricRows{logits, cells.labels, cells.weights}, 0.5);
  };
  score({}, {});
  for (size_t f = 0; f < dataset.map.features.size(); ++f)
    score(cell_range(dataset.map, f), permutation_of(cells.rows, options.seed, f));
  const Aucs aucs = aucs_of(scored, options.bootstrap);
  for (size_t f = 0; f < dataset.map.features.size(); ++f) {
    const Interval interval = interval_of(aucs, f + 1, options.bootstrap.confidence);
    out.features.push_back(
        {dataset.map.features[f].spec.name, aucs.values[0] - aucs.values[f + 1], interval.low, interval.high});
  }
  std::ranges::stable_sort(out.features, std::greater{}, &FeatureImportance::drop);
  return out;
}

}  // namespace winnow
