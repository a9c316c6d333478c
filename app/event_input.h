// Events of a file: JSON lines, or a table of any format.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "serve/store/event_store.h"

namespace winnow {

struct EventInput {
  std::string path = "-";                           // "-": JSON lines of the standard input
  std::map<std::string, std::string> columns = {};  // of a table: field -> column; empty: columns have fields' names
  std::string kind = {};                            // of a table without one
  int64_t time_unit_us = 1;                         // of the times of a table
};

// Calls take() with at most `batch` events at a time, in the order of the file, whose sequences are 0.
// DataError "file:line: ..."; what came before it was taken.
void read_event_file(const EventInput& input, size_t batch,
                     const std::function<void(const std::vector<UserEvent>&)>& take);

}  // namespace winnow
