// Loading of a data set larger than memory. See load_dataset(), storage: disk.
#pragma once
#include <optional>
#include <string>

#include "data/dataset.h"

namespace winnow::detail {

// Passes over the interactions, each by reading_workers() threads on blocks, in order:
//   facts   users, items, labels, times into a scratch file of 32 bytes a row; then the splits
//   fit     every feature's cells of the training rows
//   encode  all cells, into the file of rows
// Memory: keys, side tables, vocabularies (twice while they are counted by two threads), a byte a row, some blocks.
Dataset load_on_disk(const Schema& schema, const std::string& run_directory);

// The resolved schema, and name, size and time of change of each of its files; nothing where unchanged sources cannot
// be told: a database, images, a schema that was not parsed, a cleaning step that depends on the moment.
std::optional<std::string> fingerprint_of(const Schema& schema);

}  // namespace winnow::detail
