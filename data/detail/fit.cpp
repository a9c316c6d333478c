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

EncodedCodes encode_codes(const FittedFeature& feature, const RawColumn& column) {
  EncodedCodes encoded;
  encoded.begin.push_back(0);
  for (const double x : column.numbers) {
    FeatureMap::encode_ids(feature, x, encoded.ids);
    encoded.begin.push_back(static_cast<int64_t>(encoded.ids.size()));
  }
  if (column.numeric) return encoded;
  for (int32_t code = 0; code < column.texts.size(); ++code) {
    FeatureMap::encode_ids(feature, column.texts.text(code), encoded.ids);
    encoded.begin.push_back(static_cast<int64_t>(encoded.ids.size()));
  }
  return encoded;
}

}  // namespace winnow::detail
