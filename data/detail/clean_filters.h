// One filter for each step of cleaning, as CleanSpec describes them.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/clean.h"

namespace winnow::detail {

// A row on its way through the filters. A filter may put other cells, which it keeps alive until the block is done.
struct CleanRow {
  const RowBlock& block;
  int64_t row;
  std::span<std::string_view> cells;
  std::vector<std::unique_ptr<std::string>>& texts;  // owns rewritten cells
  int64_t changed = 0;                               // cells, by the current filter

  [[noreturn]] void fail(std::string_view column, const std::string& what) const { block.fail(row, column, what); }
};

class CleanFilter {
 public:
  virtual ~CleanFilter() = default;
  // Its lines in the report; apply() says which of them drops a row.
  const std::vector<CleanReport::Step>& lines() const { return lines_; }
  // A filter with a pass of its own sees every row that reaches it there, then end_fit().
  virtual bool has_fit() const { return false; }
  virtual void fit(const CleanRow&) {}
  virtual void end_fit() {}
  // Before each pass over the source: forgets the rows seen so far.
  virtual void begin_pass() {}
  // Position in lines() under which the row is dropped, or kKept.
  static constexpr int kKept = -1;
  virtual int apply(CleanRow& row) = 0;

 protected:
  void add_line(const char* step, const std::string& column, const std::string& what);
  std::vector<CleanReport::Step> lines_;
};

std::vector<size_t> columns_of(const RowReader& reader, const std::vector<std::string>& names);
std::string joined(const std::vector<std::string>& names);  // "a, b"
// DataError at the row unless the cell is a finite number.
double number_at(const CleanRow& row, size_t column, const std::string& name, const char* step);

// The reader tells where the columns are.
using FilterPointer = std::unique_ptr<CleanFilter>;
FilterPointer make_filter(const DropDuplicates& spec, const RowReader& reader);
FilterPointer make_filter(const DropMissing& spec, const RowReader& reader);
FilterPointer make_filter(const DropRule& spec, const RowReader& reader);
FilterPointer make_filter(const DropImpossible& spec, const RowReader& reader);
FilterPointer make_filter(const DropOutliers& spec, const RowReader& reader);
FilterPointer make_filter(const DropCancelled& spec, const RowReader& reader);
FilterPointer make_filter(const DropBots& spec, const RowReader& reader);
FilterPointer make_filter(const NormaliseTextStep& spec, const RowReader& reader);

// The test of a DropRule, parsed once. ConfigError: a rule that is none.
class RowRule {
 public:
  explicit RowRule(const DropRule& spec);
  ~RowRule();
  // Nothing when the rule compares numbers and the cell is not one.
  std::optional<bool> holds(std::string_view cell) const;

 private:
  struct Test;
  std::unique_ptr<Test> test_;
};

}  // namespace winnow::detail
