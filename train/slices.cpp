#include "train/slices.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/text.h"
#include "data/row_facts.h"
#include "train/ctr_task.h"
#include "train/row_cells.h"

namespace winnow {
namespace {

struct Slice {
  std::string value;
  std::vector<uint32_t> rows;  // positions in the split
};

// fewer than n training rows of the row's key, and the others.
std::vector<Slice> slices_by_count(const std::vector<int64_t>& counts, const std::vector<int64_t>& keys, int64_t n) {
  std::vector<Slice> slices = {{n == 1 ? "no training row" : fmt::format("fewer than {} training rows", n), {}},
                               {"others", {}}};
  for (size_t i = 0; i < keys.size(); ++i) {
    const bool few = counts[static_cast<size_t>(keys[i])] < n;
    slices[few ? 0 : 1].rows.push_back(static_cast<uint32_t>(i));
  }
  return slices;
}

// Training rows of each key.
std::vector<int64_t> training_counts(const Dataset& dataset, std::span<const int32_t> RowFacts::*keys, size_t count) {
  std::vector<int64_t> counts(count);
  for_each_facts(dataset, Split::Train, [&](const RowFacts& f) {
    for (const int32_t key : f.*keys) ++counts[static_cast<size_t>(key)];
  });
  return counts;
}

std::string value_text(const FittedFeature& feature, int64_t id) {
  if (id == Vocabulary::kPad) return "(missing)";
  if (id == feature.oov()) return "(unseen in training)";
  if (!feature.boundaries.empty()) {  // id = 1 + the number of boundaries up to the value
    const auto b = static_cast<size_t>(id - 1);
    if (b == 0) return fmt::format("under {:.4g}", feature.boundaries[0]);
    if (b == feature.boundaries.size()) return fmt::format("{:.4g} or more", feature.boundaries[b - 1]);
    return fmt::format("{:.4g} to under {:.4g}", feature.boundaries[b - 1], feature.boundaries[b]);
  }
  if (id <= feature.vocabulary.size()) return std::string(feature.vocabulary.value(id));
  return fmt::format("hash bucket {}", id - 1);
}

std::vector<Slice> slices_by_id(const Dataset& dataset, Split split, size_t feature, int64_t top) {
  const CellRange range = cell_range(dataset.map, feature);
  std::map<int64_t, std::vector<uint32_t>> rows;
  uint32_t position = 0;
  const auto source = make_row_source(dataset, split, false);
  visit_cells(dataset.map, *source, source->rows(), [&](const RowCells& cells) {
    for (int64_t r = 0; r < cells.rows; ++r, ++position) {
      const auto bag = cells.bag(r, range.field);
      std::set<int64_t> values(bag.begin(), bag.end());
      if (values.empty()) values.insert(Vocabulary::kPad);
      for (const int64_t id : values) rows[id].push_back(position);
    }
  });
  std::vector<std::pair<int64_t, std::vector<uint32_t>>> by_size(rows.begin(), rows.end());
  std::ranges::stable_sort(by_size, std::greater{}, [](const auto& entry) { return entry.second.size(); });
  std::vector<Slice> slices;
  std::set<uint32_t> others;
  for (auto& [id, members] : by_size) {
    if (static_cast<int64_t>(slices.size()) < top)
      slices.push_back({value_text(dataset.map.features[feature], id), std::move(members)});
    else
      others.insert(members.begin(), members.end());
  }
  slices.push_back({"(all other values)", {others.begin(), others.end()}});
  return slices;
}

// A number as it stands in the data, from its encoded form; as encoded where that cannot be told.
std::string number_text(const FittedFeature& feature, double encoded) {
  const Normalizer n = feature.spec.normalizer;
  double x = encoded;
  if (n == Normalizer::Standard || n == Normalizer::LogStandard || n == Normalizer::MinMax)
    x = x * feature.deviation + feature.mean;
  if (n == Normalizer::Log || n == Normalizer::LogStandard) x = std::copysign(std::expm1(std::abs(x)), x);
  const bool known = n != Normalizer::Quantile;
  return fmt::format("{:.4g}{}", x, known ? "" : " (encoded)");
}

std::vector<Slice> slices_by_number(const Dataset& dataset, Split split, size_t feature, int64_t buckets) {
  const CellRange range = cell_range(dataset.map, feature);
  std::vector<float> values;
  const auto source = make_row_source(dataset, split, false);
  visit_cells(dataset.map, *source, source->rows(), [&](const RowCells& cells) {
    for (int64_t r = 0; r < cells.rows; ++r)
      values.push_back(cells.dense[static_cast<size_t>(r * cells.width + range.begin)]);
  });
  std::vector<float> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  std::vector<float> upper;  // greatest value of each bucket
  for (int64_t b = 1; b <= buckets && !sorted.empty(); ++b) {
    const size_t last = sorted.size() * static_cast<size_t>(b) / static_cast<size_t>(buckets);
    if (last > 0 && (upper.empty() || sorted[last - 1] > upper.back())) upper.push_back(sorted[last - 1]);
  }
  const FittedFeature& fitted = dataset.map.features[feature];
  std::vector<Slice> slices;
  for (size_t b = 0; b < upper.size(); ++b) {
    const std::string to = number_text(fitted, upper[b]);
    slices.push_back(
        {b == 0 ? fmt::format("up to {}", to) : fmt::format("over {} to {}", number_text(fitted, upper[b - 1]), to),
         {}});
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const auto bucket = std::ranges::lower_bound(upper, values[i]) - upper.begin();
    slices[static_cast<size_t>(bucket)].rows.push_back(static_cast<uint32_t>(i));
  }
  return slices;
}

// The slice's metrics out of those of evaluate_binary.
std::vector<MetricValue> metrics_of(const MetricRows& rows, const SliceOptions& options) {
  const bool small = static_cast<int64_t>(rows.predictions.size()) < options.least_rows;
  std::vector<MetricValue> all, out;
  if (!small) all = evaluate_binary(rows, options.binary);
  for (const char* name : {"auc", "logloss", "ne", "copc", "ece_mass"}) {
    if (small)
      out.push_back({.name = name,
                     .value = {},
                     .reason = fmt::format("{} rows are too few: slices are evaluated from {} rows on",
                                           rows.predictions.size(), options.least_rows)});
    else
      out.push_back(*find_metric(all, name));
  }
  return out;
}

SliceReport report_of(const std::string& name, const Slice& slice, const SplitColumns& columns,
                      std::span<const float> predictions, const SliceOptions& options) {
  SliceReport report{.name = name, .value = slice.value, .metrics = {}};
  std::vector<float> logits, labels, weights;
  for (const uint32_t row : slice.rows) {
    logits.push_back(predictions[row]);
    labels.push_back(columns.labels[row]);
    weights.push_back(columns.weights[row]);
    report.positives += columns.labels[row] > 0.5f;
  }
  report.rows = static_cast<int64_t>(slice.rows.size());
  report.metrics = metrics_of({logits, labels, weights}, options);
  return report;
}

SliceSpec read_slice(const ConfigNode& entry, const Schema& schema) {
  SliceSpec spec;
  const auto kind = [&](const std::string& word) {
    if (word != "cold_users" && word != "new_items")
      entry.fail(fmt::format(
          "'{}' is no slice; use cold_users, new_items, or a map such as {{column: country, top: 10}}", word));
    spec.kind = word == "cold_users" ? SliceSpec::ColdUsers : SliceSpec::NewItems;
  };
  if (entry.is_scalar()) {
    kind(entry.as<std::string>());
    return spec;
  }
  for (const char* word : {"cold_users", "new_items"}) {
    if (!entry.has(word)) continue;
    kind(word);
    spec.fewer_than = entry.require<int64_t>(word, at_least(1));
    return spec;
  }
  spec.kind = SliceSpec::Column;
  spec.column = entry.require<std::string>("column");
  std::vector<std::string> names;
  for (const FeatureSpec& f : schema.features) names.push_back(f.name);
  const auto at = std::ranges::find(schema.features, spec.column, &FeatureSpec::name);
  if (at == schema.features.end())
    entry.fail("column", fmt::format("'{}' is no feature{}; features: {}", spec.column,
                                     did_you_mean(spec.column, names), fmt::join(names, ", ")));
  if (!has_ids(*at) && at->type != FeatureType::Numeric)
    entry.fail("column", fmt::format("feature {} gives a model several numbers, which have no values to slice by; add "
                                     "the column as a categorical or numeric feature",
                                     spec.column));
  if (has_ids(*at))
    spec.top = entry.get("top", spec.top, between(1, 1000));
  else
    spec.buckets = entry.get("buckets", spec.buckets, between(1, 1000));
  return spec;
}

}  // namespace

std::vector<SliceSpec> read_slices(const ConfigNode& evaluation, const Schema& schema) {
  if (!evaluation.has("slices")) return {{.kind = SliceSpec::ColdUsers}, {.kind = SliceSpec::NewItems}};
  std::vector<SliceSpec> specs;
  for (const ConfigNode& entry : evaluation.list("slices")) specs.push_back(read_slice(entry, schema));
  return specs;
}

std::vector<SliceReport> evaluate_slices(const Dataset& dataset, Split split, std::span<const float> predictions,
                                         const std::vector<SliceSpec>& specs, const SliceOptions& options) {
  const SplitColumns columns = split_columns(dataset, split);
  std::vector<SliceReport> reports;
  for (const SliceSpec& spec : specs) {
    std::string name = spec.column;
    std::vector<Slice> slices;
    if (spec.kind == SliceSpec::ColdUsers) {
      name = "cold_users";
      slices = slices_by_count(training_counts(dataset, &RowFacts::user, dataset.user_keys.size()), columns.users,
                               spec.fewer_than);
    } else if (spec.kind == SliceSpec::NewItems) {
      name = "new_items";
      slices = slices_by_count(training_counts(dataset, &RowFacts::item, dataset.item_keys.size()), columns.items,
                               spec.fewer_than);
    } else {
      const size_t feature = dataset.map.feature(spec.column);
      const CellRange range = cell_range(dataset.map, feature);
      WN_CHECK(range.field >= 0 || range.end - range.begin == 1, ConfigError,
               "evaluation.slices: feature {} gives {} floats a row, which have no values to slice by", spec.column,
               range.end - range.begin);
      slices = range.field >= 0 ? slices_by_id(dataset, split, feature, spec.top)
                                : slices_by_number(dataset, split, feature, spec.buckets);
    }
    for (const Slice& slice : slices)
      if (!slice.rows.empty()) reports.push_back(report_of(name, slice, columns, predictions, options));
  }
  return reports;
}

}  // namespace winnow
