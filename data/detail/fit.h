// Fitting one feature on the training interactions, and encoding its distinct values.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/detail/raw_data.h"
#include "data/feature_fitter.h"

namespace winnow::detail {

// The row of a column's cells that an interaction (and the interaction its item comes from) refers to.
inline size_t row_of(const RawColumn& column, const RawData& raw, int32_t interaction, int32_t item_from) {
  switch (column.rows) {
    case RawColumn::Interaction: return static_cast<size_t>(interaction);
    case RawColumn::ItemInteraction: return static_cast<size_t>(item_from);
    case RawColumn::User: return static_cast<size_t>(raw.user[static_cast<size_t>(interaction)]);
    case RawColumn::Item: break;
  }
  return static_cast<size_t>(raw.item[static_cast<size_t>(item_from)]);
}

FeatureFitter count_training_cells(const FeatureSpec& spec, const RawColumn& column, const RawData& raw,
                                   const std::vector<int32_t>& train_rows);

// The ids of each code of a column, or of each of its numbers: ids[begin[code] .. begin[code + 1]).
struct EncodedCodes {
  std::vector<int64_t> ids, begin;
};
// Adds the cells of a side table, each as often as its key has rows.
void add_counted_cells(const RawColumn& column, const std::vector<int64_t>& rows_of_key, FeatureFitter& fitter);

// Of each number where the feature reads numbers, else of each text.
EncodedCodes encode_codes(const FittedFeature& feature, std::span<const double> numbers, const StringIndex& texts);
inline EncodedCodes encode_codes(const FittedFeature& feature, const RawColumn& column) {
  return encode_codes(feature, column.numbers, column.texts);
}

// Likewise width() floats each.
std::vector<float> encode_floats(const FittedFeature& feature, std::span<const double> numbers,
                                 const StringIndex& texts);
inline std::vector<float> encode_floats(const FittedFeature& feature, const RawColumn& column) {
  return encode_floats(feature, column.numbers, column.texts);
}

}  // namespace winnow::detail
