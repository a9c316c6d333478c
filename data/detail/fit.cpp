#include "data/detail/fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/detail/cell_parts.h"
#include "data/timestamp.h"

namespace winnow::detail {
namespace {

Vocabulary fit_vocabulary(const FeatureSpec& spec, const RawColumn& column, const RawData& raw,
                          const std::vector<int32_t>& train_rows) {
  std::vector<int64_t> code_counts(static_cast<size_t>(column.texts.size()));
  for (const int32_t r : train_rows) ++code_counts[static_cast<size_t>(column.codes[row_of(column, raw, r, r)])];
  StringIndex values;
  std::vector<int64_t> counts;
  for (int32_t code = 0; code < column.texts.size(); ++code) {
    const int64_t count = code_counts[static_cast<size_t>(code)];
    if (count == 0) continue;
    for_each_part(spec, column.texts.text(code), [&](std::string_view part) {
      const auto number = static_cast<size_t>(values.add(part));
      if (number == counts.size()) counts.push_back(0);
      counts[number] += count;
    });
  }
  std::vector<int32_t> order(counts.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](int32_t a, int32_t b) {
    const int64_t x = counts[static_cast<size_t>(a)], y = counts[static_cast<size_t>(b)];
    return x != y ? x > y : values.text(a) < values.text(b);
  });
  Vocabulary vocabulary;
  for (const int32_t number : order) {
    if (counts[static_cast<size_t>(number)] < spec.min_categr_count) break;
    vocabulary.add(values.text(number));
  }
  return vocabulary;
}

// Mean and standard deviation of the transformed training values; a constant has deviation 1.
void fit_number(FittedFeature& feature, const RawColumn& column, const RawData& raw,
                const std::vector<int32_t>& train_rows) {
  const Normalizer normalizer = feature.spec.normalizer;
  const auto each = [&](auto&& f) {
    for (const int32_t r : train_rows) {
      const double x = column.numbers[row_of(column, raw, r, r)];
      if (!std::isnan(x)) f(transform(normalizer, x));
    }
  };
  double count = 0, mean = 0, squares = 0;
  each([&](double x) { mean += (x - mean) / ++count; });
  each([&](double x) { squares += (x - mean) * (x - mean); });
  if (normalizer == Normalizer::Standard || normalizer == Normalizer::LogStandard) {
    feature.mean = mean;
    if (squares > 0) feature.deviation = std::sqrt(squares / count);
  }
  feature.missing = (mean - feature.mean) / feature.deviation;
  if (feature.spec.fill_na) feature.missing = FeatureMap::encode_number(feature, *parse_number(*feature.spec.fill_na));
}

}  // namespace

FittedFeature fit(const FeatureSpec& spec, const RawColumn& column, const RawData& raw,
                  const std::vector<int32_t>& train_rows) {
  FittedFeature feature;
  feature.spec = spec;
  if (column.numeric)
    fit_number(feature, column, raw, train_rows);
  else
    feature.vocabulary = fit_vocabulary(spec, column, raw, train_rows);
  return feature;
}

EncodedCodes encode_codes(const FittedFeature& feature, const RawColumn& column) {
  EncodedCodes encoded;
  encoded.begin.push_back(0);
  for (int32_t code = 0; code < column.texts.size(); ++code) {
    FeatureMap::encode_ids(feature, column.texts.text(code), encoded.ids);
    encoded.begin.push_back(static_cast<int64_t>(encoded.ids.size()));
  }
  return encoded;
}

}  // namespace winnow::detail
