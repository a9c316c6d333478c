#include "data/detail/fit.h"

namespace winnow::detail {

FeatureFitter count_training_cells(const FeatureSpec& spec, const RawColumn& column, const RawData& raw,
                                   const std::vector<int32_t>& train_rows) {
  FeatureFitter fitter(spec);
  if (column.numeric) {
    for (const int32_t r : train_rows) fitter.add_number(column.numbers[row_of(column, raw, r, r)]);
    return fitter;
  }
  std::vector<int64_t> counts(static_cast<size_t>(column.texts.size()));
  for (const int32_t r : train_rows) ++counts[static_cast<size_t>(column.codes[row_of(column, raw, r, r)])];
  for (int32_t code = 0; code < column.texts.size(); ++code)
    if (const int64_t count = counts[static_cast<size_t>(code)]; count > 0) fitter.add(column.texts.text(code), count);
  return fitter;
}

EncodedCodes encode_codes(const FittedFeature& feature, std::span<const double> numbers, const StringIndex& texts) {
  EncodedCodes encoded;
  encoded.begin.push_back(0);
  for (const double x : numbers) {
    FeatureMap::encode_ids(feature, x, encoded.ids);
    encoded.begin.push_back(static_cast<int64_t>(encoded.ids.size()));
  }
  if (reads_numbers(feature.spec)) return encoded;
  for (int32_t code = 0; code < texts.size(); ++code) {
    FeatureMap::encode_ids(feature, texts.text(code), encoded.ids);
    encoded.begin.push_back(static_cast<int64_t>(encoded.ids.size()));
  }
  return encoded;
}

void add_counted_cells(const RawColumn& column, const std::vector<int64_t>& rows_of_key, FeatureFitter& fitter) {
  if (column.numeric) {
    for (size_t key = 0; key < rows_of_key.size(); ++key)
      if (rows_of_key[key] > 0) fitter.add_number(column.numbers[key], rows_of_key[key]);
    return;
  }
  std::vector<int64_t> counts(static_cast<size_t>(column.texts.size()));
  for (size_t key = 0; key < rows_of_key.size(); ++key)
    counts[static_cast<size_t>(column.codes[key])] += rows_of_key[key];
  for (int32_t code = 0; code < column.texts.size(); ++code)
    if (const int64_t count = counts[static_cast<size_t>(code)]; count > 0) fitter.add(column.texts.text(code), count);
}

std::vector<float> encode_floats(const FittedFeature& feature, std::span<const double> numbers,
                                 const StringIndex& texts) {
  std::vector<float> floats;
  for (const double x : numbers) FeatureMap::encode_dense(feature, x, floats);
  if (reads_numbers(feature.spec)) return floats;
  for (int32_t code = 0; code < texts.size(); ++code) FeatureMap::encode_dense(feature, texts.text(code), floats);
  return floats;
}

}  // namespace winnow::detail
