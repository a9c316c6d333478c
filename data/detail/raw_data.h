// The files of a schema as read: texts numbered, numbers parsed, nothing fitted yet.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "data/detail/tables.h"

namespace winnow::detail {

struct RawData {
  StringIndex users, items;
  std::vector<int32_t> user, item;   // [interactions], numbers in users and items
  std::vector<int64_t> time;         // empty without a timestamp column
  std::vector<float> label, weight;  // weight is empty without a column
  std::vector<int32_t> stratum;      // of a stratified split
  std::vector<RawColumn> features;   // as Schema::features
  std::vector<std::string> item_titles;
  LoadReport report;
  int32_t size() const { return static_cast<int32_t>(user.size()); }
};

// Errors as load_dataset().
RawData read_files(const Schema& schema);

}  // namespace winnow::detail
