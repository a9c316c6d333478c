#include <algorithm>
#include <bit>
#include <cmath>

#include "core/error.h"
#include "data/detail/clean_filters.h"
#include "data/detail/hash128.h"

namespace winnow::detail {
namespace {

class Cancelled final : public CleanFilter {
 public:
  Cancelled(const DropCancelled& spec, const RowReader& reader)
      : spec_(spec), column_(reader.column(spec.column)), match_(columns_of(reader, spec.match)) {
    if (!spec.quantity.empty()) quantity_ = reader.column(spec.quantity);
    add_line("cancelled", spec.column, "starts with " + spec.prefix);
    if (spec.match.empty()) return;
    std::string what = "taken back: " + joined(spec.match);
    if (!spec.quantity.empty()) what += ", " + spec.quantity;
    add_line("cancelled", spec.column, what);
  }
  bool has_fit() const override { return !match_.empty(); }

  // Open rows of one key form a stack, linked through below_.
  void fit(const CleanRow& row) override {
    const auto number = static_cast<int64_t>(below_.size());
    below_.push_back(kNone);
    if (std::ranges::any_of(match_, [&](size_t c) { return row.cells[c].empty(); })) return;
    const Hash128 key = key_of(row);
    if (is_cancellation(row)) {
      Top* top = open_.find(key);
      if (top == nullptr || top->row == kNone) return;
      taken_back_.push_back(top->row);
      top->row = below_[static_cast<size_t>(top->row)];
    } else {
      bool added = false;
      Top& top = open_.at(key, added);
      below_.back() = added ? kNone : top.row;
      top.row = number;
    }
  }
  void end_fit() override {
    std::ranges::sort(taken_back_);
    open_.clear();
    below_ = {};
  }
  void begin_pass() override { row_ = 0, next_ = 0; }

  int apply(CleanRow& row) override {
    const int64_t number = row_++;
    if (next_ < taken_back_.size() && taken_back_[next_] == number) {
      ++next_;
      return 1;
    }
    return is_cancellation(row) ? 0 : kKept;
  }

 private:
  static constexpr int64_t kNone = -1;
  struct Top {
    int64_t row = kNone;
  };

  bool is_cancellation(const CleanRow& row) const { return row.cells[column_].starts_with(spec_.prefix); }

  Hash128 key_of(const CleanRow& row) const {
    RowHasher hasher;
    for (const size_t c : match_) hasher.add(row.cells[c]);
    if (!spec_.quantity.empty())
      hasher.add(std::bit_cast<uint64_t>(std::abs(number_at(row, quantity_, spec_.quantity, "cancelled"))));
    return hasher.finish();
  }

  DropCancelled spec_;
  size_t column_, quantity_ = 0;
  std::vector<size_t> match_;
  HashTable<Top> open_;
  std::vector<int64_t> below_;       // of the pass: the open row under each row
  std::vector<int64_t> taken_back_;  // row numbers, ascending
  int64_t row_ = 0;
  size_t next_ = 0;
};

}  // namespace

FilterPointer make_filter(const DropCancelled& spec, const RowReader& reader) {
  return std::make_unique<Cancelled>(spec, reader);
}

}  // namespace winnow::detail
