#include "data/dataset.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "data/detail/disk_load.h"
#include "data/detail/fit.h"
#include "data/detail/negatives.h"
#include "data/detail/raw_data.h"
#include "data/detail/split_plan.h"

namespace winnow {
namespace {

using detail::RawColumn;
using detail::RawData;
using detail::SampledRow;

std::vector<int32_t> time_order(const RawData& raw) {
  std::vector<int32_t> order(raw.user.size());
  std::iota(order.begin(), order.end(), 0);
  if (!raw.time.empty())
    std::ranges::stable_sort(order, {}, [&](int32_t r) { return raw.time[static_cast<size_t>(r)]; });
  return order;
}

// The split of each position of the order.
std::vector<Split> splits_of(const RawData& raw, const Schema& schema, const std::vector<int32_t>& order) {
  const std::vector<Split> of_row = detail::plan_splits(
      schema, [&](const auto& visit) { visit({.user = raw.user, .stratum = raw.stratum, .time = raw.time}); });
  std::vector<Split> splits;
  splits.reserve(order.size());
  for (const int32_t r : order) splits.push_back(of_row[static_cast<size_t>(r)]);
  return splits;
}

// Lays out the rows of the data set and their splits.
std::vector<SampledRow> lay_out(const RawData& raw, const Schema& schema, const std::vector<int32_t>& order,
                                const std::vector<Split>& splits, const std::vector<int32_t>& train_rows, Dataset& d) {
  std::vector<SampledRow> rows;
  rows.reserve(order.size() * static_cast<size_t>(1 + schema.negatives.per_positive));
  detail::NegativeSampler sampler(raw, order, train_rows, schema.negatives, schema.seed);
  const bool in_batch = schema.negatives.per_positive > 0 && schema.negatives.distribution == NegativeSpec::InBatch;
  for (size_t i = 0; i < order.size(); ++i) {
    const size_t begin = rows.size();
    if (in_batch && splits[i] == Split::Train)
      sampler.append_positive(order[i], rows);
    else if (schema.negatives.per_positive > 0)
      d.report.negatives_short += sampler.append(order[i], rows);
    else
      rows.push_back({order[i], order[i]});
    WN_CHECK(rows.size() <= size_t{INT32_MAX}, DataError, "{}: more than {} rows with the sampled negatives",
             schema.interactions.source.name(), INT32_MAX);
    auto& split = splits[i] == Split::Train ? d.train : splits[i] == Split::Valid ? d.valid : d.test;
    for (size_t r = begin; r < rows.size(); ++r) split.push_back(static_cast<int32_t>(r));
  }
  d.report.negatives = static_cast<int64_t>(rows.size() - order.size());
  if (in_batch) d.in_batch = std::move(sampler).take_known();
  return rows;
}

void encode_fields(const RawData& raw, const std::vector<SampledRow>& rows, Dataset& d) {
  const auto& fields = d.map.fields();
  std::vector<detail::EncodedCodes> encoded;
  for (const int32_t f : fields)
    encoded.push_back(encode_codes(d.map.features[static_cast<size_t>(f)], raw.features[static_cast<size_t>(f)]));
  const bool bags = d.map.has_bags();
  d.ids.reserve(rows.size() * fields.size());
  if (bags) {
    d.offsets.reserve(rows.size() * fields.size() + 1);
    d.offsets.push_back(0);
  }
  for (const SampledRow& row : rows)
    for (size_t f = 0; f < fields.size(); ++f) {
      const RawColumn& column = raw.features[static_cast<size_t>(fields[f])];
      const size_t cell = row_of(column, raw, row.interaction, row.item_from);
      const size_t code = column.numeric ? cell : static_cast<size_t>(column.codes[cell]);
      const detail::EncodedCodes& e = encoded[f];
      d.ids.insert(d.ids.end(), e.ids.begin() + e.begin[code], e.ids.begin() + e.begin[code + 1]);
      if (bags) d.offsets.push_back(static_cast<int64_t>(d.ids.size()));
    }
}

void encode_numbers(const RawData& raw, const std::vector<SampledRow>& rows, Dataset& d) {
  const auto& numbers = d.map.numbers();
  const auto all = static_cast<size_t>(d.map.dense_width());
  d.dense.resize(rows.size() * all);
  for (size_t k = 0; k < numbers.size(); ++k) {
    const auto i = static_cast<size_t>(numbers[k]);
    const RawColumn& column = raw.features[i];
    const std::vector<float> floats = encode_floats(d.map.features[i], column);
    const int64_t width = d.map.features[i].width();
    for (size_t r = 0; r < rows.size(); ++r) {
      const size_t cell = row_of(column, raw, rows[r].interaction, rows[r].item_from);
      const size_t at = column.numeric ? cell : static_cast<size_t>(column.codes[cell]);
      std::copy_n(floats.data() + static_cast<int64_t>(at) * width, width,
                  d.dense.data() + static_cast<int64_t>(r * all) + d.map.dense_begin(k));
    }
  }
}

void copy_columns(const RawData& raw, const std::vector<SampledRow>& rows, Dataset& d) {
  d.rows = static_cast<int64_t>(rows.size());
  for (const SampledRow& row : rows) {
    const auto r = static_cast<size_t>(row.interaction), from = static_cast<size_t>(row.item_from);
    d.label.push_back(row.sampled ? 0.f : raw.label[r]);
    d.weight.push_back(raw.weight.empty() ? 1.f : raw.weight[r]);
    d.user.push_back(raw.user[r]);
    d.item.push_back(raw.item[from]);
    if (!raw.time.empty()) d.timestamp.push_back(raw.time[r]);
  }
  for (int32_t u = 0; u < raw.users.size(); ++u) d.user_keys.emplace_back(raw.users.text(u));
  for (int32_t i = 0; i < raw.items.size(); ++i) d.item_keys.emplace_back(raw.items.text(i));
}

// Counts of the splits and of unseen ids.
void complete_report(Dataset& d) {
  LoadReport& report = d.report;
  report.timestamps = !d.timestamp.empty();
  std::vector<LoadReport::IdCount> test_ids(d.map.fields().size());
  for (const Split s : {Split::Train, Split::Valid, Split::Test})
    for (const int32_t row : d.split(s)) {
      const auto r = static_cast<size_t>(row);
      report.splits[static_cast<size_t>(s)].add(d.label[r], report.timestamps ? d.timestamp[r] : 0);
      if (s != Split::Test) continue;
      for (size_t f = 0; f < test_ids.size(); ++f) {
        const size_t bag = r * test_ids.size() + f;
        const bool bags = !d.offsets.empty();
        const auto begin = bags ? static_cast<size_t>(d.offsets[bag]) : bag,
                   end = bags ? static_cast<size_t>(d.offsets[bag + 1]) : bag + 1;
        const int64_t oov = d.map.field(f).oov();
        for (size_t k = begin; k < end; ++k) {
          test_ids[f].ids += d.ids[k] != Vocabulary::kPad;
          test_ids[f].oov += d.ids[k] == oov;
        }
      }
    }
  report.describe(d.map, test_ids);
}

Dataset load_in_memory(const Schema& schema) {
  RawData raw = detail::read_files(schema);
  Dataset d;
  d.report = std::move(raw.report);
  d.item_titles = std::move(raw.item_titles);
  WN_CHECK(raw.size() > 0, DataError, "{}: no interactions are left\n{}", schema.interactions.source.name(),
           d.report.str());

  const std::vector<int32_t> order = time_order(raw);
  const std::vector<Split> splits = splits_of(raw, schema, order);
  std::vector<int32_t> train_rows;
  for (size_t i = 0; i < order.size(); ++i)
    if (splits[i] == Split::Train) train_rows.push_back(order[i]);

  d.map.user_id = schema.user_id;
  d.map.item_id = schema.item_id;
  std::vector<FeatureFitter> fitters;
  for (size_t i = 0; i < schema.features.size(); ++i)
    fitters.push_back(detail::count_training_cells(schema.features[i], raw.features[i], raw, train_rows));
  d.map.features = finish(std::move(fitters));
  d.map.index();

  const std::vector<SampledRow> rows = lay_out(raw, schema, order, splits, train_rows, d);
  encode_fields(raw, rows, d);
  encode_numbers(raw, rows, d);
  copy_columns(raw, rows, d);
  complete_report(d);
  return d;
}

}  // namespace

Dataset load_dataset(const Schema& schema, const std::string& run_directory) {
  const auto begun = std::chrono::steady_clock::now();
  check_schema(schema);
  Dataset d = schema.storage == Storage::Disk ? detail::load_on_disk(schema, run_directory) : load_in_memory(schema);
  d.id_dropout = schema.id_dropout;
  d.report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  return d;
}

}  // namespace winnow
