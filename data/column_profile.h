// What the cells of a column look like, gathered in one pass and bounded memory.
#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/distinct_count.h"

namespace winnow {

// Time formats that a column is tried for; see TimeFormat.
const std::vector<std::string>& known_time_formats();

class ColumnProfile {
 public:
  explicit ColumnProfile(std::string name) : name_(std::move(name)) {}
  void add(std::string_view cell);  // UTF-8

  // Cells cut at a separator.
  struct Parts {
    std::string separator;
    int64_t cells = 0, parts = 0, most = 0;  // that hold it; all parts of all cells; parts of the longest
    DistinctCount distinct;
    double share(int64_t present) const { return static_cast<double>(cells) / static_cast<double>(present); }
  };

  const std::string& name() const { return name_; }
  int64_t rows() const { return rows_; }
  int64_t missing() const { return missing_; }
  int64_t present() const { return rows_ - missing_; }
  int64_t distinct() const { return distinct_.count(); }
  bool distinct_is_exact() const { return distinct_.exact(); }
  bool all_numbers() const { return present() > 0 && numbers_ == present(); }
  bool all_integers() const { return present() > 0 && integers_ == present(); }
  double least() const { return least_; }
  double most() const { return most_; }
  double mean() const { return numbers_ > 0 ? sum_ / static_cast<double>(numbers_) : 0; }
  // The first format that every cell fits; "" none. Numbers: unix or unix_ms when all lie in the years 1980 to 2100.
  std::string time_format() const;
  double words_per_cell() const {
    return static_cast<double>(words_) / static_cast<double>(std::max<int64_t>(present(), 1));
  }
  int64_t most_words() const { return most_words_; }
  const std::vector<Parts>& parts() const { return parts_; }
  // The first values met, up to three.
  const std::vector<std::string>& examples() const { return examples_; }
  // All values with their counts while there are at most kCounted; empty when there are more.
  const std::map<std::string, int64_t, std::less<>>& counts() const { return counts_; }
  static constexpr size_t kCounted = 64;

 private:
  void add_number(std::string_view cell);
  void add_text(std::string_view cell);

  std::string name_;
  int64_t rows_ = 0, missing_ = 0, numbers_ = 0, integers_ = 0, words_ = 0, most_words_ = 0;
  double least_ = std::numeric_limits<double>::infinity(), most_ = -least_, sum_ = 0;
  DistinctCount distinct_;
  std::vector<bool> fits_;  // of known_time_formats(), so far
  std::vector<Parts> parts_;
  std::vector<std::string> examples_;
  std::map<std::string, int64_t, std::less<>> counts_;
  bool too_many_ = false;
};

// How much a column depends on a key: of the later rows of a key, how many have the cell of its first row.
// (Neighbouring rows would not tell: those of one page or visit share its hour and device.) The first kKeys keys are
// watched.
class KeyDependence {
 public:
  explicit KeyDependence(size_t columns) : same_(columns), pairs_(0), columns_(columns) {}
  void add(uint64_t key, const std::vector<uint64_t>& cells);
  double share(size_t column) const {
    return pairs_ == 0 ? 0 : static_cast<double>(same_[column]) / static_cast<double>(pairs_);
  }
  int64_t pairs() const { return pairs_; }
  static constexpr size_t kKeys = 1024;

 private:
  std::vector<int64_t> same_;
  int64_t pairs_;
  size_t columns_;
  std::map<uint64_t, std::vector<uint64_t>> first_;
};

}  // namespace winnow
