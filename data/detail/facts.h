// What every interaction has besides features: user, item, label, weight, time, and what the split asks for.
#pragma once
#include <cstdint>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "data/rows.h"
#include "data/schema.h"
#include "data/string_index.h"
#include "data/timestamp.h"

namespace winnow::detail {

// The facts of consecutive rows.
struct FactBlock {
  std::vector<int32_t> user, item;     // numbers of the keys; before resolve() -1 for one that is new
  std::vector<float> label, weight;    // weight is empty without a column
  std::vector<int64_t> time;           // empty without a timestamp column
  std::vector<std::string_view> keys;  // scratch of parse()
  std::vector<int32_t> stratum;        // of a stratified split: number of the `by` cell, or label > 0.5
  size_t size() const { return user.size(); }
  void clear();
};

// Reads facts block by block. parse() on any number of threads at once; resolve() of the same blocks one after another
// in order of the source. Both throw DataError "file:line: column 'name': what".
class FactReader {
 public:
  FactReader(const Schema& schema, const RowReader& rows);
  void parse(const RowBlock& block, FactBlock& facts) const;  // under a shared lock of mutex()
  void resolve(const RowBlock& block, FactBlock& facts);      // under the lock of mutex()

  std::shared_mutex& mutex() { return mutex_; }
  StringIndex take_users() { return std::move(users_); }
  StringIndex take_items() { return std::move(items_); }
  std::vector<std::string> take_titles() { return std::move(titles_); }

 private:
  float label_of(const RowBlock& block, int64_t row) const;
  void find_keys(const RowBlock& block, const StringIndex& index, const std::string& column, size_t at,
                 FactBlock& facts, std::vector<int32_t>& numbers) const;
  void add_title(const RowBlock& block, int64_t row, int32_t item);

  const Schema& schema_;
  TimeFormat format_;
  size_t user_ = 0, item_ = 0;
  std::optional<size_t> time_, weight_, label_, title_, stratum_;
  bool by_label_ = false;  // strata are the classes of the label
  std::shared_mutex mutex_;
  StringIndex users_, items_, strata_;
  std::vector<std::string> titles_;
};

// DataError: not a number; a new text that is not UTF-8 (it may be shown to people or go into feature_map.json).
double number_of(const RowBlock& block, int64_t row, std::string_view column, std::string_view cell, const char* what);
void check_text(const RowBlock& block, int64_t row, std::string_view column, std::string_view cell);
int32_t add_text(StringIndex& index, const RowBlock& block, int64_t row, std::string_view column,
                 std::string_view cell);
std::string title_of(const RowBlock& block, int64_t row, std::string_view column, std::string_view cell);

}  // namespace winnow::detail
