// What a user took before a row, from the data set alone: nothing of the row's own moment or later.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace winnow {

struct HistoryOptions {
  int64_t len = 10;  // items at most; 0: every history is empty
  // true: validation and test rows see the training split's rows alone, as if histories were frozen when training
  // ended; false: all rows before their own moment.
  bool frozen = false;
};

class ItemHistory {
 public:
  // ConfigError: rows on disk, or without times.
  ItemHistory(const Dataset& dataset, const HistoryOptions& options);
  // The distinct items of the user's positives (label > 0.5) with a time before the row's, newest first (of equal times
  // the later row), the row's own item left out: a negative is sampled among what its user never took, so that its item
  // in the history would tell the label of a repeated purchase. Returns how many; at most min(len, out.size()).
  size_t of(int32_t row, std::span<int32_t> out) const;

 private:
  struct Event {
    int64_t time;
    int32_t item;
    bool training;
  };
  const Dataset& dataset_;
  HistoryOptions options_;
  std::vector<int64_t> begin_;  // [users + 1] into events_
  std::vector<Event> events_;   // of each user, by time
  std::vector<bool> training_;  // [N] of the rows
};

// A text for each item: its title, then the values of the named features (of its first row; ids of a vocabulary that
// are neither missing nor unseen), joined by blanks. Likewise of users, without titles. ConfigError: no titles; a
// feature that is none of the items (users) or has no vocabulary.
std::vector<std::string> item_texts(const Dataset& dataset, const std::vector<std::string>& features);
std::vector<std::string> user_texts(const Dataset& dataset, const std::vector<std::string>& features);

}  // namespace winnow
